// Tempo on its own modules, for machines that cannot download its releases: one process with every part of it.
//
// Its own main cannot be used with newer releases of Go. They initialise packages in another order, by which the
// codec that Tempo registers for its messages is replaced by one of Jaeger's, which cannot encode them.
package main

import (
	"flag"
	"fmt"
	"os"

	gogoproto "github.com/gogo/protobuf/proto"
	"github.com/grafana/tempo/cmd/tempo/app"
	"github.com/grafana/tempo/pkg/util/log"
	"google.golang.org/grpc/encoding"
	"google.golang.org/protobuf/proto"
	"gopkg.in/yaml.v2"
)

// version is that of the modules; the build sets it.
var version = "dev"

// codec encodes messages made for gogo's library by that library, and all others by Google's.
type codec struct{}

func (codec) Name() string { return "proto" }

func (codec) Marshal(value any) ([]byte, error) {
	switch message := value.(type) {
	case proto.Message:
		return proto.Marshal(message)
	case gogoproto.Message:
		return gogoproto.Marshal(message)
	}
	return nil, fmt.Errorf("%T is no message", value)
}

func (codec) Unmarshal(data []byte, value any) error {
	switch message := value.(type) {
	case proto.Message:
		return proto.Unmarshal(data, message)
	case gogoproto.Message:
		return gogoproto.Unmarshal(data, message)
	}
	return fmt.Errorf("%T is no message", value)
}

func readConfig(file string) (app.Config, error) {
	config := app.Config{}
	config.RegisterFlagsAndApplyDefaults("", flag.NewFlagSet("defaults", flag.PanicOnError))
	text, err := os.ReadFile(file)
	if err != nil {
		return config, err
	}
	if err := yaml.UnmarshalStrict(text, &config); err != nil {
		return config, fmt.Errorf("%s: %w", file, err)
	}
	config.Ingester.LifecyclerConfig.RingConfig.KVStore.Store = "inmemory"
	config.Ingester.LifecyclerConfig.RingConfig.ReplicationFactor = 1
	config.Ingester.LifecyclerConfig.Addr = "127.0.0.1"
	config.Generator.Ring.KVStore.Store = "inmemory"
	config.Generator.Ring.InstanceAddr = "127.0.0.1"
	return config, nil
}

func run() error {
	file := flag.String("config.file", "", "Configuration file")
	verify := flag.Bool("config.verify", false, "Only reads the configuration")
	show := flag.Bool("version", false, "Prints the version")
	flag.Parse()
	if *show {
		fmt.Printf("tempo, version %s\n", version)
		return nil
	}
	config, err := readConfig(*file)
	if err != nil || *verify {
		return err
	}
	log.InitLogger(&config.Server)
	config.CheckConfig()
	encoding.RegisterCodec(codec{}) // after all packages have registered theirs
	tempo, err := app.New(config)
	if err != nil {
		return err
	}
	return tempo.Run()
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "tempo:", err)
		os.Exit(1)
	}
}
