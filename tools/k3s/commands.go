package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"groundwork.dev/tools/k3s/config"
	"groundwork.dev/tools/k3s/server"
)

// split takes the subcommand off; flags may come before or after its operand.
func split(arguments []string) (string, []string) {
	if len(arguments) == 0 {
		return "", nil
	}
	return arguments[0], arguments[1:]
}

func runToken(ctx context.Context, arguments []string) error {
	settings, err := config.Load(config.Server, nil)
	if err != nil {
		return err
	}
	tokens, err := server.OpenTokens(settings)
	if err != nil {
		return err
	}
	command, rest := split(arguments)
	flags := flag.NewFlagSet("k3s token "+command, flag.ContinueOnError)
	life := flags.Duration("ttl", 24*time.Hour, "how long the token is good for; 0 is for ever")
	description := flags.String("description", "", "what the token is for")
	old := flags.String("token", "", "the secret in use")
	fresh := flags.String("new-token", "", "the secret to come")
	if err := flags.Parse(rest); err != nil {
		return err
	}
	switch command {
	case "create":
		made, err := tokens.Create(ctx, *life, *description)
		if err == nil {
			fmt.Println(made)
		}
		return err
	case "list":
		return tokens.List(ctx, os.Stdout)
	case "delete":
		return tokens.Delete(ctx, flags.Arg(0))
	case "rotate":
		if err := tokens.Rotate(ctx, *old, *fresh); err != nil {
			return err
		}
		fmt.Println("Token rotated, restart k3s nodes with new token")
		return nil
	default:
		return fmt.Errorf("usage: k3s token create|list|delete|rotate")
	}
}

func runSnapshot(ctx context.Context, arguments []string) error {
	settings, err := config.Load(config.Server, nil)
	if err != nil {
		return err
	}
	snapshots, err := server.OpenSnapshots(settings)
	if err != nil {
		return err
	}
	command, rest := split(arguments)
	flags := flag.NewFlagSet("k3s etcd-snapshot "+command, flag.ContinueOnError)
	name := flags.String("name", "on-demand", "base name of the snapshot")
	keep := flags.Int("snapshot-retention", 5, "how many to keep")
	if err := flags.Parse(rest); err != nil {
		return err
	}
	switch command {
	case "save":
		saved, err := snapshots.Save(ctx, *name)
		if err == nil {
			fmt.Printf("Snapshot %s saved.\n", saved.Name)
		}
		return err
	case "list", "ls":
		found, err := snapshots.List(ctx)
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', 0)
		fmt.Fprintln(table, "Name\tLocation\tSize\tCreated")
		for _, each := range found {
			fmt.Fprintf(table, "%s\t%s\t%d\t%s\n", each.Name, each.Location, each.Size, each.Created.UTC().Format(time.RFC3339))
		}
		return table.Flush()
	case "delete":
		for _, each := range flags.Args() {
			if err := snapshots.Delete(ctx, each); err != nil {
				return err
			}
			fmt.Printf("Snapshot %s deleted.\n", each)
		}
		return nil
	case "prune":
		removed, err := snapshots.Prune(ctx, *name, *keep)
		for _, each := range removed {
			fmt.Printf("Snapshot %s deleted.\n", each)
		}
		return err
	default:
		return fmt.Errorf("usage: k3s etcd-snapshot save|list|delete|prune")
	}
}

func runCertificate(arguments []string) error {
	if command, _ := split(arguments); command != "rotate" {
		return fmt.Errorf("usage: k3s certificate rotate")
	}
	settings, err := config.Load(config.Server, nil)
	if err != nil {
		return err
	}
	if err := server.RotateCertificates(settings); err != nil {
		return err
	}
	fmt.Println("Certificates set aside; restart k3s to issue new ones")
	return nil
}
