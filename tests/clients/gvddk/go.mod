module gvddk-check

go 1.21

require (
	github.com/sirupsen/logrus v1.9.0
	github.com/vmware/virtual-disks v0.0.5
)

require (
	github.com/pkg/errors v0.9.1 // indirect
	golang.org/x/sys v0.0.0-20220715151400-c0bba94af5f8 // indirect
)
