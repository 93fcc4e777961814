// Reads a disk through gvddk, VMware's Go layer over VixDiskLib, linked to the stand-in library.
//
// Usage: gvddk-check KIT HOST PORT USER PASSWORD_FILE THUMBPRINT VM DISK OUT
//
// gvddk names no snapshot, so the VM must be off. The whole disk goes to OUT; then come what the
// layer has to be refused: parts of sectors past the end, a wrong password, and a local disk, whose
// parameters it fills with empty texts.
package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/sirupsen/logrus"
	"github.com/vmware/virtual-disks/pkg/disklib"
	"github.com/vmware/virtual-disks/pkg/virtual_disks"
)

const (
	identity    = "gvddk check"
	sectorBytes = 512
	chunk       = 128
	readOnly    = 4
	invalidArg  = 3
)

func main() {
	if len(os.Args) != 10 {
		fail("nine arguments are needed")
	}
	kit, host, port := os.Args[1], os.Args[2], os.Args[3]
	secret, err := os.ReadFile(os.Args[5])
	check(err)
	password := strings.TrimRight(string(secret), "\n")

	thumbprint, err := disklib.GetThumbPrintForServer(host, port)
	check(err)
	if thumbprint != os.Args[6] {
		fail("the server shows %s", thumbprint)
	}
	must(disklib.Init(7, 0, kit))
	fmt.Println("transports:", disklib.ListTransportModes())

	params := func(password string) disklib.ConnectParams {
		return disklib.NewConnectParams(os.Args[7], host, thumbprint, os.Args[4], password,
			"", "", "", "", identity, os.Args[8], readOnly, true, "nbdssl")
	}
	read(params(password), os.Args[9])

	if _, refused := virtual_disks.Open(params("not the password"), quiet()); refused == nil {
		fail("a wrong password was not refused")
	}
	fmt.Println("a wrong password: refused")

	local := disklib.NewConnectParams("", "", "", "", "", "", "", "", "", identity,
		os.Args[9], readOnly, true, "file")
	_, refused := disklib.ConnectEx(local)
	if refused == nil || refused.VixErrorCode() != invalidArg {
		fail("empty texts for a local disk gave %v, not 3", refused)
	}
	fmt.Println("empty texts for a local disk: refused with 3")
	disklib.Exit()
	fmt.Println("ok")
}

// Reads the disk: at odd places, whole, and its allocated blocks.
func read(params disklib.ConnectParams, out string) {
	disk, refused := virtual_disks.Open(params, quiet())
	if refused != nil {
		fail("%v", refused)
	}
	whole := readWhole(disk, out)
	// Not on the border of a sector: the layer reads around it. Its count leaves out what it takes
	// from the last sector, so the bytes are looked at and the count is not.
	for _, at := range []int{1, 511, 1000, len(whole) - 700} {
		part := make([]byte, 700)
		n, err := disk.ReadAt(part, int64(at))
		if err != nil || !bytes.Equal(part, whole[at:at+len(part)]) {
			fail("700 bytes at %d: %d, %v", at, n, err)
		}
	}
	sectors := len(whole) / sectorBytes / chunk * chunk
	blocks, refused := disk.QueryAllocatedBlocks(0, disklib.VixDiskLibSectorType(sectors), chunk)
	if refused != nil {
		fail("%v", refused)
	}
	end := 0
	for _, block := range append(blocks, *lastBlock(sectors)) {
		start := int(block.Offset()) * sectorBytes
		if start < end || len(bytes.Trim(whole[end:start], "\x00")) != 0 {
			fail("the bytes from %d to %d are said to be a hole", end, start)
		}
		end = start + int(block.Length())*sectorBytes
	}
	fmt.Println("blocks:", len(blocks), "and zeros between them")
	check(disk.Close())
}

// The layer writes a line for each read.
func quiet() logrus.FieldLogger {
	logger := logrus.New()
	logger.SetOutput(io.Discard)
	return logger
}

func lastBlock(sectors int) *disklib.VixDiskLibBlock {
	var block disklib.VixDiskLibBlock
	block.SetOffset(disklib.VixDiskLibSectorType(sectors))
	return &block
}

func readWhole(disk virtual_disks.DiskReaderWriter, out string) []byte {
	var whole []byte
	buffer := make([]byte, 1<<20)
	for {
		n, err := disk.Read(buffer)
		whole = append(whole, buffer[:n]...)
		if err != nil || n == 0 {
			break
		}
	}
	check(os.WriteFile(out, whole, 0o600))
	fmt.Println("bytes:", len(whole))
	return whole
}

func must(err disklib.VddkError) {
	if err != nil {
		fail("%v", err)
	}
}

func check(err error) {
	if err != nil {
		fail("%v", err)
	}
}

func fail(format string, args ...any) {
	fmt.Printf(format+"\n", args...)
	os.Exit(1)
}
