package server

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// objectStore is where snapshots are copied to, by the `etcd-s3` settings.
type objectStore struct {
	client         *minio.Client
	bucket, folder string
}

// objectStore is nil where none is configured.
func (s Snapshots) objectStore(ctx context.Context) (*objectStore, error) {
	settings := s.server.settings
	if !settings.Flag("etcd-s3") {
		return nil, nil
	}
	client, err := minio.New(settings.Text("etcd-s3-endpoint", "s3.amazonaws.com"), &minio.Options{
		Creds:  credentials.NewStaticV4(settings.Text("etcd-s3-access-key", ""), settings.Text("etcd-s3-secret-key", ""), ""),
		Secure: !settings.Flag("etcd-s3-insecure"),
		Region: settings.Text("etcd-s3-region", "us-east-1"),
	})
	if err != nil {
		return nil, err
	}
	store := &objectStore{client, settings.Text("etcd-s3-bucket", ""), settings.Text("etcd-s3-folder", "")}
	if store.bucket == "" {
		return nil, errors.New("s3 bucket name was not set")
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	exists, err := client.BucketExists(ctx, store.bucket)
	if err != nil {
		return nil, fmt.Errorf("failed to test for existence of bucket %s: %w", store.bucket, err)
	}
	if !exists {
		return nil, fmt.Errorf("bucket %s does not exist", store.bucket)
	}
	return store, nil
}

func (o *objectStore) key(name string) string { return path.Join(o.folder, name) }

func (o *objectStore) upload(ctx context.Context, file string) error {
	_, err := o.client.FPutObject(ctx, o.bucket, o.key(filepath.Base(file)), file, minio.PutObjectOptions{ContentType: "application/octet-stream"})
	return err
}

func (o *objectStore) download(ctx context.Context, name, folder string) (string, error) {
	file := filepath.Join(folder, name)
	return file, o.client.FGetObject(ctx, o.bucket, o.key(name), file, minio.GetObjectOptions{})
}

func (o *objectStore) delete(ctx context.Context, name string) error {
	return o.client.RemoveObject(ctx, o.bucket, o.key(name), minio.RemoveObjectOptions{})
}

func (o *objectStore) list(ctx context.Context) ([]Snapshot, error) {
	prefix := ""
	if o.folder != "" {
		prefix = strings.TrimSuffix(o.folder, "/") + "/"
	}
	var found []Snapshot
	for object := range o.client.ListObjects(ctx, o.bucket, minio.ListObjectsOptions{Prefix: prefix}) {
		if object.Err != nil {
			return nil, object.Err
		}
		if name := path.Base(object.Key); plainName.MatchString(name) && !strings.HasSuffix(object.Key, "/") {
			found = append(found, Snapshot{name, "s3://" + o.bucket + "/" + object.Key, object.Size, object.LastModified})
		}
	}
	return found, nil
}
