// Command cni attaches a network namespace to a CNI network chosen by name,
// through libcni, the reference library: what rkt did and what containerd does.
//
//	cni add NETWORK CONTAINER NETNS IFNAME [KEY=VALUE …]   attach; prints the plugin's result
//	cni del NETWORK CONTAINER NETNS IFNAME [KEY=VALUE …]   detach
//	cni load                                               load every file; prints the networks' names
//
// NETCONFPATH (default /etc/cni/net.d) and CNI_PATH (default /usr/lib/cni) are
// read from the environment, as cnitool does. KEY=VALUE pairs become CNI_ARGS.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/containernetworking/cni/libcni"
)

const deadline = 60 * time.Second

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
	if len(args) < 5 || (args[0] != "add" && args[0] != "del") {
		return fmt.Errorf("usage: cni add|del NETWORK CONTAINER NETNS IFNAME [KEY=VALUE …], or cni load")
	}
	network, err := libcni.LoadConfList(folder, args[1])
	if err != nil {
		return err
	}
	runtime := &libcni.RuntimeConf{ContainerID: args[2], NetNS: args[3], IfName: args[4]}
	// host-local and macvlan each refuse the other's keys unless told to overlook them.
	runtime.Args = [][2]string{{"IgnoreUnknown", "1"}}
	for _, pair := range args[5:] {
		key, value, found := strings.Cut(pair, "=")
		if !found {
			return fmt.Errorf("found %q, expected KEY=VALUE", pair)
		}
		runtime.Args = append(runtime.Args, [2]string{key, value})
	}
	plugins := libcni.NewCNIConfig(filepath.SplitList(environment("CNI_PATH", "/usr/lib/cni")), nil)
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	if args[0] == "del" {
		return plugins.DelNetworkList(ctx, network, runtime)
	}
	result, err := plugins.AddNetworkList(ctx, network, runtime)
	if err != nil {
		return err
	}
	return result.PrintTo(os.Stdout)
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
