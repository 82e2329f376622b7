package server

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	etcd "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
)

// bootstrapKey holds what makes a server one of the cluster's, for a new machine that is restored from a snapshot.
const bootstrapKey = "/bootstrap/files"

func sealer(secret string) (cipher.AEAD, error) {
	key := sha256.Sum256([]byte(secret))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// saveBootstrap puts the shared files into the datastore, sealed with the servers' secret.
func (s *server) saveBootstrap(ctx context.Context, client *etcd.Client, secret string) error {
	files, err := s.readShared()
	if err != nil {
		return err
	}
	plain, err := json.Marshal(files)
	if err != nil {
		return err
	}
	box, err := sealer(secret)
	if err != nil {
		return err
	}
	nonce := make([]byte, box.NonceSize())
	_, _ = rand.Read(nonce) // never fails: it ends the program instead
	_, err = client.Put(ctx, bootstrapKey, string(box.Seal(nonce, nonce, plain, nil)))
	return err
}

// loadBootstrap writes the shared files of a datastore that was restored, and refuses a secret that is not its.
func (s *server) loadBootstrap(ctx context.Context, configuration *embed.Config) error {
	running, err := embed.StartEtcd(configuration)
	if err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	defer running.Close()
	select {
	case <-running.Server.ReadyNotify():
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := s.checkToken(ctx); err != nil {
		return err
	}
	client, err := s.etcdClient("127.0.0.1")
	if err != nil {
		return err
	}
	defer client.Close()
	found, err := client.Get(ctx, bootstrapKey)
	if err != nil || len(found.Kvs) == 0 {
		return errors.Join(err, errors.New("the snapshot holds no bootstrap data"))
	}
	box, err := sealer(s.secret())
	if err != nil {
		return err
	}
	sealed := found.Kvs[0].Value
	plain, err := box.Open(nil, sealed[:box.NonceSize()], sealed[box.NonceSize():], nil)
	if err != nil {
		return err
	}
	var files map[string][]byte
	if err := json.Unmarshal(plain, &files); err != nil {
		return err
	}
	return s.writeShared(files)
}
