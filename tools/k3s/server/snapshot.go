package server

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"time"

	"github.com/robfig/cron/v3"
	etcd "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.uber.org/zap"
	"groundwork.dev/tools/k3s/config"
	"groundwork.dev/tools/k3s/node"
)

var plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// Snapshot is a file that the datastore was saved to.
type Snapshot struct {
	Name, Location string
	Size           int64
	Created        time.Time
}

// Snapshots are the datastore's on this server.
type Snapshots struct{ server *server }

// OpenSnapshots is what `k3s etcd-snapshot` works with, on a server that runs or has run.
func OpenSnapshots(settings config.Settings) (Snapshots, error) {
	identity, err := node.Identify(settings)
	return Snapshots{&server{settings: settings, node: identity}}, err
}

func (s Snapshots) folder() string {
	return s.server.settings.Text("etcd-snapshot-dir", s.server.node.Server("db", "snapshots"))
}

// Save writes `<base>-<node>-<seconds>`, as k3s does.
func (s Snapshots) Save(ctx context.Context, base string) (Snapshot, error) {
	if !plainName.MatchString(base) {
		return Snapshot{}, fmt.Errorf("snapshot name %q: letters, digits, dots, dashes and underscores expected", base)
	}
	if !s.server.clustered() {
		return Snapshot{}, errors.New("etcd datastore disabled: set cluster-init")
	}
	configuration, err := s.server.etcdClientTLS()
	if err != nil {
		return Snapshot{}, err
	}
	if err := os.MkdirAll(s.folder(), 0o700); err != nil {
		return Snapshot{}, err
	}
	now := time.Now()
	name := fmt.Sprintf("%s-%s-%d", base, s.server.node.Name, now.Unix())
	file := filepath.Join(s.folder(), name)
	local := endpoint("127.0.0.1", clientPort)
	_, err = snapshot.NewV3(zap.NewNop()).Save(ctx, etcd.Config{Endpoints: []string{local.String()}, TLS: configuration, DialTimeout: 5 * time.Second}, file)
	if err != nil {
		return Snapshot{}, err
	}
	saved, err := os.Stat(file)
	if err != nil {
		return Snapshot{}, err
	}
	store, err := s.objectStore(ctx)
	if err == nil && store != nil {
		err = store.upload(ctx, file)
	}
	return Snapshot{name, "file://" + file, saved.Size(), now}, err
}

// List is ordered by age, the newest last; what is in the object store as well comes twice.
func (s Snapshots) List(ctx context.Context) ([]Snapshot, error) {
	found, err := s.local()
	if err != nil {
		return nil, err
	}
	store, err := s.objectStore(ctx)
	if err != nil {
		return nil, err
	}
	if store != nil {
		copies, err := store.list(ctx)
		if err != nil {
			return nil, err
		}
		found = append(found, copies...)
	}
	sort.SliceStable(found, func(i, j int) bool { return found[i].Created.Before(found[j].Created) })
	return found, nil
}

func (s Snapshots) local() ([]Snapshot, error) {
	entries, err := os.ReadDir(s.folder())
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var found []Snapshot
	for _, entry := range entries {
		information, err := entry.Info()
		if err != nil || !information.Mode().IsRegular() || filepath.Ext(entry.Name()) == ".part" {
			continue
		}
		found = append(found, Snapshot{entry.Name(), "file://" + filepath.Join(s.folder(), entry.Name()), information.Size(), information.ModTime()})
	}
	return found, err
}

// Delete removes a snapshot wherever it is.
func (s Snapshots) Delete(ctx context.Context, name string) error {
	if !plainName.MatchString(name) {
		return fmt.Errorf("no snapshot %q", name)
	}
	store, err := s.objectStore(ctx)
	if err != nil {
		return err
	}
	err = os.Remove(filepath.Join(s.folder(), name))
	if store == nil {
		return err
	}
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, store.delete(ctx, name))
}

// Prune keeps this server's newest snapshots of a base name, in each place.
func (s Snapshots) Prune(ctx context.Context, base string, keep int) ([]string, error) {
	all, err := s.List(ctx)
	if err != nil {
		return nil, err
	}
	own := regexp.MustCompile("^" + regexp.QuoteMeta(base+"-"+s.server.node.Name+"-") + `\d+$`)
	var names, removed []string
	for _, each := range all {
		if own.MatchString(each.Name) && !slices.Contains(names, each.Name) {
			names = append(names, each.Name)
		}
	}
	for len(names) > keep {
		if err := s.Delete(ctx, names[0]); err != nil {
			return removed, err
		}
		removed, names = append(removed, names[0]), names[1:]
	}
	return removed, nil
}

// scheduleSnapshots saves on the configured schedule, and keeps as many as configured.
func (s *server) scheduleSnapshots(ctx context.Context) {
	if !s.clustered() || s.settings.Flag("etcd-disable-snapshots") {
		return
	}
	schedule, err := cron.ParseStandard(s.settings.Text("etcd-snapshot-schedule-cron", "0 */12 * * *"))
	if err != nil {
		log.Printf("etcd-snapshot-schedule-cron: %v; no snapshots are taken", err)
		return
	}
	keep, err := strconv.Atoi(s.settings.Text("etcd-snapshot-retention", "5"))
	if err != nil {
		log.Printf("etcd-snapshot-retention: %v; no snapshots are taken", err)
		return
	}
	base := s.settings.Text("etcd-snapshot-name", "etcd-snapshot")
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Until(schedule.Next(time.Now()))):
			}
			saved, err := Snapshots{s}.Save(ctx, base)
			if err == nil {
				log.Printf("saved snapshot %s", saved.Name)
				_, err = Snapshots{s}.Prune(ctx, base, keep)
			}
			if err != nil {
				log.Printf("snapshot failed: %v", err)
			}
		}
	}()
}

// resetCluster makes this server the only member, with the data of a snapshot where one is given, and ends.
func (s *server) resetCluster(ctx context.Context) error {
	if _, err := os.Stat(s.resetFlag()); err == nil {
		return errors.New("Managed etcd cluster membership was previously reset, please remove the cluster-reset flag and start k3s normally. If you need to perform another cluster reset, you must first manually delete the file at " + s.resetFlag())
	}
	name, err := s.memberName()
	if err != nil {
		return err
	}
	configuration := s.etcdConfig(name)
	source := s.settings.Text("cluster-reset-restore-path", s.etcdFolder("member", "snap", "db"))
	if s.settings.Has("cluster-reset-restore-path") {
		if source, err = s.fetchSnapshot(ctx, source); err != nil {
			return err
		}
	}
	old := fmt.Sprintf("%s-old-%d", s.etcdFolder(), time.Now().Unix())
	fresh := s.etcdFolder() + "-new"
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	err = snapshot.NewV3(zap.NewNop()).Restore(snapshot.RestoreConfig{
		SnapshotPath: source, Name: name, OutputDataDir: fresh,
		PeerURLs:       []string{configuration.AdvertisePeerUrls[0].String()},
		InitialCluster: configuration.InitialCluster, InitialClusterToken: configuration.InitialClusterToken,
		// The datastore's own file has no checksum after it.
		SkipHashCheck: !s.settings.Has("cluster-reset-restore-path"),
		// Kubernetes' watches must not see an older revision under a number they have seen.
		RevisionBump: 1_000_000, MarkCompacted: true,
	})
	if err != nil {
		return fmt.Errorf("restore %s: %w", source, err)
	}
	if err := os.WriteFile(filepath.Join(fresh, "name"), []byte(name), 0o600); err != nil {
		return err
	}
	if err := errors.Join(os.Rename(s.etcdFolder(), old), os.Rename(fresh, s.etcdFolder())); err != nil {
		return err
	}
	if s.settings.Has("cluster-reset-restore-path") {
		if err := s.loadBootstrap(ctx, configuration); err != nil {
			return err
		}
	}
	if err := os.WriteFile(s.resetFlag(), nil, 0o600); err != nil {
		return err
	}
	log.Printf("Managed etcd cluster membership has been reset, restart without --cluster-reset flag now. The data before is in %s", old)
	return ctx.Err()
}

// resetFlag keeps one from resetting twice by accident; a start without the flag removes it.
func (s *server) resetFlag() string { return s.node.Server("db", "reset-flag") }

// fetchSnapshot takes a snapshot from the object store, where one is configured: it is then given by its name.
func (s *server) fetchSnapshot(ctx context.Context, name string) (string, error) {
	store, err := Snapshots{s}.objectStore(ctx)
	if err != nil || store == nil {
		return name, err
	}
	return store.download(ctx, name, Snapshots{s}.folder())
}
