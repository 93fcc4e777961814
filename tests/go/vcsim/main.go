// Command vcsim serves VMware's own vCenter simulator, for tests of the client.
//
// The simulator is the one of the pinned module, as it is. The program that comes with it is a
// module of its own that cannot be installed by name. This one starts it over TLS on a free port
// of loopback, prints one line of JSON that tells where it is and how it proves itself, and ends
// when its standard input does: it never outlives the test that started it.
package main

import (
	"encoding/json"
	"flag"
	"io"
	"log"
	"net/url"
	"os"

	"github.com/vmware/govmomi/simulator"
)

// place is what the line of standard output holds.
type place struct {
	Address       string `json:"address"`
	AuthorityFile string `json:"authority_file"`
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("vcsim: ")
	user := flag.String("user", "user", "the name that may log in")
	vms := flag.Int("vms", 2, "virtual machines a resource pool")
	folders := flag.Int("folders", 0, "put the inventory into folders this deep")
	host := flag.Bool("esxi", false, "be a stand-alone host")
	verbose := flag.Bool("verbose", false, "say on standard error what goes wrong")
	flag.Parse()

	model := simulator.VPX()
	if *host {
		model = simulator.ESX()
	}
	model.Machine = *vms
	model.Folder = *folders
	defer model.Remove()
	if err := model.Create(); err != nil {
		log.Fatal(err)
	}
	// With a name and a password the simulator refuses all others.
	model.Service.Listen = &url.URL{
		Host: "127.0.0.1:0",
		User: url.UserPassword(*user, os.Getenv("VCSIM_PASSWORD")),
	}
	config, err := newTLS()
	if err != nil {
		log.Fatal(err)
	}
	model.Service.TLS = config
	server := model.Service.NewServer()
	defer server.Close()

	authority, err := server.CertificateFile()
	if err != nil {
		log.Fatal(err)
	}
	defer os.Remove(authority)
	// It logs every handshake that a client breaks off, and every fault.
	if !*verbose {
		log.SetOutput(io.Discard)
	}
	if err := json.NewEncoder(os.Stdout).Encode(place{server.URL.Host, authority}); err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
}
