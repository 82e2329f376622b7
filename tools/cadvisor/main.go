// cAdvisor's library under a main of our own, for machines that cannot download cAdvisor's image: control groups
// and their use of the machine, as Prometheus reads it. Its options are named as cAdvisor's own are. It asks no
// container engine for anything.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"github.com/google/cadvisor/lib/cache/memory"
	"github.com/google/cadvisor/lib/container"
	"github.com/google/cadvisor/lib/manager"
	"github.com/google/cadvisor/lib/metrics"
	"github.com/google/cadvisor/lib/model"
	"github.com/google/cadvisor/lib/utils/sysfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

// version is that of the library; the build sets it.
var version = "dev"

// kept is how long a container's figures are held; only the newest are asked for.
const kept = 2 * time.Minute

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	klog.InitFlags(nil)
	enabled := container.MetricSet{}
	port := flag.Int("port", 8080, "port to listen on")
	onlyVersion := flag.Bool("version", false, "print the version and end")
	flag.Var(&enabled, "enable_metrics", "kinds of metrics, with commas between: "+container.AllMetrics.String())
	flag.Parse()
	if *onlyVersion {
		fmt.Println("cAdvisor", version)
		return nil
	}

	watched, err := manager.New(
		memory.New(kept, nil), sysfs.NewRealSysFs(), manager.HousekeepingConfigFlags, enabled,
		[]string{""}, nil, "", 0,
	)
	if err != nil {
		return fmt.Errorf("cannot observe control groups: %w", err)
	}
	if err := watched.Start(); err != nil {
		return fmt.Errorf("cannot observe control groups: %w", err)
	}
	return serve(fmt.Sprintf(":%d", *port), collect(watched, enabled))
}

func collect(watched manager.Manager, enabled container.MetricSet) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics.NewPrometheusCollector(
		watched, metrics.BaseContainerLabels(nil), enabled, clock.RealClock{},
		model.RequestOptions{IdType: model.TypeName, Count: 1, Recursive: true},
	))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

// serve answers until it is told to end.
func serve(address string, figures http.Handler) error {
	ended, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	mux := http.NewServeMux()
	mux.Handle("/metrics", figures)
	mux.HandleFunc("/healthz", func(answer http.ResponseWriter, _ *http.Request) { fmt.Fprintln(answer, "ok") })
	server := http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ended.Done()
		_ = server.Close()
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
