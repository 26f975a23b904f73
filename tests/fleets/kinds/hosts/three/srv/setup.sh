#!/bin/sh
set -e
podman network create -d macvlan --subnet 10.9.1.0/24 --ip-range 10.9.1.192/26 --gateway 10.9.1.1 \
    -o parent=ens3 lan
podman run -d --name app --network lan:ip=10.9.1.200 docker.io/library/httpd:2.4
podman run -d --name worker --net lan -v data:/data busybox sleep 1d
