// Generate-libvirt-sdk turns a Pulumi package schema into the Node.js SDK that `pulumi package add` would write.
//
// The CLI asks the language host for that, and ours generates nothing; the generator itself is an ordinary Go package,
// so this program calls it. Usage: generate-libvirt-sdk SCHEMA.json TARGET-DIRECTORY (replaced as a whole).
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/blang/semver"
	"github.com/pulumi/pulumi/pkg/v3/codegen/nodejs"
	"github.com/pulumi/pulumi/pkg/v3/codegen/schema"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: generate-libvirt-sdk SCHEMA.json TARGET-DIRECTORY")
		os.Exit(2)
	}
	if err := generate(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "generate-libvirt-sdk:", err)
		os.Exit(1)
	}
}

// generate reads the schema and swaps the target for a freshly written SDK, so that no file of an older one survives.
func generate(schemaFile, target string) error {
	content, err := os.ReadFile(schemaFile)
	if err != nil {
		return err
	}
	var spec schema.PackageSpec
	if err := json.Unmarshal(content, &spec); err != nil {
		return fmt.Errorf("%s is not a package schema: %w", schemaFile, err)
	}
	options := schema.ValidationOptions{AllowDanglingReferences: true}
	pkg, diagnostics, err := schema.BindSpec(spec, noLoader{}, options)
	if err != nil {
		return err
	}
	if diagnostics.HasErrors() {
		return diagnostics
	}
	files, err := nodejs.GeneratePackage("pulumi", pkg, nil, nil, true, nil)
	if err != nil {
		return err
	}
	fresh := target + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	for name, text := range files {
		path := filepath.Join(fresh, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(target); err != nil {
		return err
	}
	return os.Rename(fresh, target)
}

// noLoader refuses references to other packages: the libvirt schema has none.
type noLoader struct{}

func (noLoader) LoadPackage(name string, _ *semver.Version) (*schema.Package, error) {
	return nil, fmt.Errorf("the schema refers to package %q, which cannot be loaded here", name)
}

func (noLoader) LoadPackageV2(_ context.Context, descriptor *schema.PackageDescriptor) (*schema.Package, error) {
	return nil, fmt.Errorf("the schema refers to package %v, which cannot be loaded here", descriptor)
}
