// Package process runs Kubernetes' own programs as children of k3s.
package process

import (
	"context"
	"log"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Group holds the children, and ends all of them with it.
type Group struct {
	context context.Context
	running sync.WaitGroup
}

func NewGroup(ctx context.Context) *Group { return &Group{context: ctx} }

// Self runs a component that is part of this program.
func (g *Group) Self(name string, arguments ...string) {
	g.Run(name, func() *exec.Cmd {
		return &exec.Cmd{Path: "/proc/self/exe", Args: append([]string{name}, arguments...)}
	})
}

// Run keeps a program running: what ends is started again a second later.
func (g *Group) Run(name string, make func() *exec.Cmd) {
	g.running.Add(1)
	go func() {
		defer g.running.Done()
		// The child is told of its parent's death by the thread that started it, which must not end first.
		runtime.LockOSThread()
		for g.context.Err() == nil {
			if err := g.once(make()); g.context.Err() == nil {
				log.Printf("%s ended (%v), starting it again", name, err)
			}
			select {
			case <-g.context.Done():
			case <-time.After(time.Second):
			}
		}
	}()
}

func (g *Group) once(command *exec.Cmd) error {
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	if err := command.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		select {
		case <-g.context.Done():
			_ = command.Process.Signal(syscall.SIGTERM)
		case <-ended:
			return
		}
		select {
		case <-time.After(15 * time.Second):
			_ = command.Process.Kill()
		case <-ended:
		}
	}()
	err := command.Wait()
	close(ended)
	return err
}

// Wait returns when every child has ended, which they do once the group's context is over.
func (g *Group) Wait() { g.running.Wait() }
