#!/bin/sh
set -e
apt-get update && apt-get install -y docker.io
docker run -d --name web --network lan --ip 10.9.1.70 localhost/mine/web:1
for i in 1 2; do
    docker run -d --name app$i --network lan --ip 10.9.1.$((70 + i)) nginx:1.27
done
docker compose up -d
