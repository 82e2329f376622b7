// Package images names the container images that nodes have from an archive.
package images

const (
	// Pause is every pod's own.
	Pause = "docker.io/rancher/mirrored-pause:3.6"
	// CoreDNS is that of the version which k3s brings.
	CoreDNS = "docker.io/rancher/mirrored-coredns-coredns:1.13.1"
	// Hello answers HTTP on port 8080.
	Hello = "docker.io/groundwork/hello:1"
)
