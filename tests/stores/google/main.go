// Command google serves the protocol of Google Cloud Storage, for tests of the repository.
//
// The server is fake-gcs-server of the pinned module, in memory. It lacks one thing that our client
// needs: Google's XML API stores an object by a plain PUT of its address, and the fake knows that only with
// a signature in the address. So such a PUT is handed to it as an upload of its JSON API. All else, reading,
// ranges, lists and removals, is answered by the fake as it is.
//
// The buckets are named on the command line. Its standard output is one line, where it listens on loopback, and it
// ends when its standard input does.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"

	"github.com/fsouza/fake-gcs-server/fakestorage"
)

// front stands before the fake.
type front struct {
	fake http.Handler
}

func (f front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	bucket, object, found := strings.Cut(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/")
	if r.Method != http.MethodPut || r.URL.RawQuery != "" || !found {
		f.fake.ServeHTTP(w, r)
		return
	}
	// Our client escapes all but letters and digits.
	bucket, first := url.PathUnescape(bucket)
	name, second := url.PathUnescape(object)
	if err := errors.Join(first, second); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	query := url.Values{"uploadType": {"media"}, "name": {name}}
	upload := r.Clone(r.Context())
	upload.Method = http.MethodPost
	upload.URL = &url.URL{Path: "/upload/storage/v1/b/" + bucket + "/o", RawQuery: query.Encode()}
	answer := httptest.NewRecorder()
	f.fake.ServeHTTP(answer, upload)
	var stored struct {
		Etag       string `json:"etag"`
		Generation string `json:"generation"`
	}
	if answer.Code != http.StatusOK {
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
		return
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &stored); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("ETag", fmt.Sprintf("%q", strings.Trim(stored.Etag, `"`)))
	w.Header().Set("X-Goog-Generation", stored.Generation)
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("google: ")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	address := listener.Addr().String()
	fake, err := fakestorage.NewServerWithOptions(fakestorage.Options{NoListener: true, PublicHost: address})
	if err != nil {
		log.Fatal(err)
	}
	for _, bucket := range os.Args[1:] {
		fake.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: bucket})
	}
	go func() { log.Fatal(http.Serve(listener, front{fake.HTTPHandler()})) }()
	if _, err := fmt.Println(address); err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
}
