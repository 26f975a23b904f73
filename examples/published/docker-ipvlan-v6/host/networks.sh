# Create a v6 network
docker network create -d ipvlan \
    --ipv6 --subnet=2001:db8:abc2::/64 --gateway=2001:db8:abc2::22 \
    -o parent=eth0.139 v6ipvlan139

# Start a container on the network
docker run --net=v6ipvlan139 -it --rm alpine /bin/sh
