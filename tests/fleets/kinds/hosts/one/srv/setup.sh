#!/bin/bash
# What somebody typed into a shell once and kept.
set -eu
PARENT=enp7s0
docker pull nginx:1.27
docker network create -d macvlan \
    --subnet=10.9.1.0/24 --gateway=10.9.1.1 --ip-range=10.9.1.64/26 \
    -o parent=$PARENT lan
docker run -d --name web --restart=always --network lan --ip 10.9.1.70 \
    -v /srv/www:/usr/share/nginx/html:ro -p 8080:80 nginx:1.27 nginx -g 'daemon off;'
docker run -itd --name db --network=lan --privileged --memory 2g postgres:16
# The host's own way to its containers.
ip link add lan-shim link $PARENT type macvlan mode bridge
ip address add 10.9.1.10/32 dev lan-shim
ip link set lan-shim up
ip route add 10.9.1.64/26 dev lan-shim
