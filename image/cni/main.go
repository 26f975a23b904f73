// Command cni attaches a network namespace to a CNI network chosen by name,
// through libcni, the reference library: what rkt did and what containerd does.
//
//	cni add NETWORK CONTAINER NETNS IFNAME [KEY=VALUE …]   attach; prints the plugin's result
//	cni del NETWORK CONTAINER NETNS IFNAME [KEY=VALUE …]   detach
//	cni load                                               load every file; prints the networks' names
//	cni batch WIDTH                                        many: for each container a list of argument
//	                                                       lists, as JSON on stdin; prints a list of
//	                                                       errors for each, "" for none
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
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
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
	if len(args) == 2 && args[0] == "batch" {
		return batch(folder, args[1])
	}
	if !understood(args) {
		return fmt.Errorf("usage: cni add|del NETWORK CONTAINER NETNS IFNAME [KEY=VALUE …], cni load or cni batch WIDTH")
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

// batch carries out the requests of many containers, of as many at a time as width says, and of
// those in their order: this program's own start, once per request, would take longer than some
// plugins. A request may begin with NETCONFPATH=FOLDER. An add that fails is its container's last.
func batch(folder, width string) error {
	workers, err := strconv.Atoi(width)
	if err != nil || workers < 1 {
		return fmt.Errorf("found %q, expected how many containers at a time", width)
	}
	var containers [][][]string
	if err := json.NewDecoder(os.Stdin).Decode(&containers); err != nil {
		return err
	}
	said := make([][]string, len(containers))
	waiting := make(chan int, len(containers))
	for i := range containers {
		waiting <- i
	}
	close(waiting)
	var all sync.WaitGroup
	for range min(workers, len(containers)) {
		all.Add(1)
		go func() {
			defer all.Done()
			for i := range waiting {
				said[i] = inOrder(folder, containers[i])
			}
		}()
	}
	all.Wait()
	return json.NewEncoder(os.Stdout).Encode(said)
}

// inOrder carries out one container's requests until an add fails; it returns each one's error.
func inOrder(folder string, requests [][]string) []string {
	said := []string{}
	for _, args := range requests {
		in := folder
		if len(args) > 0 {
			if other, found := strings.CutPrefix(args[0], "NETCONFPATH="); found {
				in, args = other, args[1:]
			}
		}
		if !understood(args) {
			return append(said, fmt.Sprintf("%q is neither add nor del", args))
		}
		_, err := attach(in, args)
		if err == nil {
			said = append(said, "")
			continue
		}
		said = append(said, err.Error())
		if args[0] == "add" {
			break
		}
	}
	return said
}

// understood says whether args are those of an add or a del.
func understood(args []string) bool {
	return len(args) >= 5 && (args[0] == "add" || args[0] == "del")
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
