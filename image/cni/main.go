// Command cni attaches a network namespace to a CNI network chosen by name,
// through libcni, the reference library: what rkt did and what containerd does.
//
//	cni add NETWORK CONTAINER NETNS IFNAME [KEY=VALUE …]   attach; prints the plugin's result
//	cni del NETWORK CONTAINER NETNS IFNAME [KEY=VALUE …]   detach
//	cni load                                               load every file; prints the networks' names
//	cni batch                                              many at once: a JSON list of argument lists
//	                                                       on stdin; prints a list of errors, "" for none
//
// NETCONFPATH (default /etc/cni/net.d) and CNI_PATH (default /usr/lib/cni) are
// read from the environment, as cnitool does. KEY=VALUE pairs become CNI_ARGS, but for
// IPS=ADDRESS/LENGTH,…: these go to plugins with the capability "ips", as several
// addresses, one a family, can't be asked for by CNI_ARGS.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
)

const (
	deadline = 60 * time.Second
	// Plugins wait for the kernel and for each other's locks; more at once gain nothing.
	together = 4
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "cni: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	folder := environment("NETCONFPATH", "/etc/cni/net.d")
	if len(args) == 1 && args[0] == "load" {
		return load(folder)
	}
	if len(args) == 1 && args[0] == "batch" {
		return batch(folder)
	}
	if len(args) < 5 || (args[0] != "add" && args[0] != "del") {
		return fmt.Errorf("usage: cni add|del NETWORK CONTAINER NETNS IFNAME [KEY=VALUE …], cni load or cni batch")
	}
	result, err := attach(folder, args)
	if err != nil || result == nil {
		return err
	}
	return result.PrintTo(os.Stdout)
}

// attach carries out one add or del; a del has no result.
func attach(folder string, args []string) (types.Result, error) {
	network, err := libcni.LoadConfList(folder, args[1])
	if err != nil {
		return nil, err
	}
	runtime := &libcni.RuntimeConf{ContainerID: args[2], NetNS: args[3], IfName: args[4]}
	// host-local and macvlan each refuse the other's keys unless told to overlook them.
	runtime.Args = [][2]string{{"IgnoreUnknown", "1"}}
	for _, pair := range args[5:] {
		key, value, found := strings.Cut(pair, "=")
		switch {
		case !found:
			return nil, fmt.Errorf("found %q, expected KEY=VALUE", pair)
		case key == "IPS":
			runtime.CapabilityArgs = map[string]interface{}{"ips": strings.Split(value, ",")}
		default:
			runtime.Args = append(runtime.Args, [2]string{key, value})
		}
	}
	plugins := libcni.NewCNIConfig(filepath.SplitList(environment("CNI_PATH", "/usr/lib/cni")), nil)
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	if args[0] == "del" {
		return nil, plugins.DelNetworkList(ctx, network, runtime)
	}
	return plugins.AddNetworkList(ctx, network, runtime)
}

// batch carries out many requests, some at a time: this program's own start, once per
// container, would take longer than the plugins.
func batch(folder string) error {
	var requests [][]string
	if err := json.NewDecoder(os.Stdin).Decode(&requests); err != nil {
		return err
	}
	said := make([]string, len(requests))
	free := make(chan struct{}, together)
	var all sync.WaitGroup
	for i, args := range requests {
		if len(args) < 5 || (args[0] != "add" && args[0] != "del") {
			return fmt.Errorf("request %d is neither add nor del", i)
		}
		all.Add(1)
		go func(i int, args []string) {
			defer all.Done()
			free <- struct{}{}
			defer func() { <-free }()
			if _, err := attach(folder, args); err != nil {
				said[i] = err.Error()
			}
		}(i, args)
	}
	all.Wait()
	return json.NewEncoder(os.Stdout).Encode(said)
}

// load reads every file of the folder as the runtime would and reports the first that fails.
func load(folder string) error {
	files, err := libcni.ConfFiles(folder, []string{".conf", ".conflist", ".json"})
	if err != nil {
		return err
	}
	names := []string{}
	for _, file := range files {
		if strings.HasSuffix(file, ".conflist") {
			list, err := libcni.ConfListFromFile(file)
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			names = append(names, list.Name)
			continue
		}
		conf, err := libcni.ConfFromFile(file)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		names = append(names, conf.Network.Name)
	}
	return json.NewEncoder(os.Stdout).Encode(names)
}

func environment(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}
