#!/bin/sh
# A client of the star: ready after twelve curls in a row that each ended well within 4 seconds,
# as the readiness probe of rook's multus validation has it (timeoutSeconds 4, successThreshold
# 12, failureThreshold 1). The pauses of 5 seconds between probes are left out. One that failed
# begins anew; three failures in a row are taken for good, where rook goes on for three minutes.
# usage: curl-client.sh CONTAINER ADDRESS
row=0 failed=0
while [ $row -lt 12 ]; do
    if ip netns exec "$1" timeout 4 curl --silent --output /dev/null --insecure "$2:8080"; then
        row=$((row + 1)) failed=0
    else
        row=0 failed=$((failed + 1))
        [ $failed -lt 3 ] || { echo "$1 not ready"; exit 1; }
    fi
done
echo "$1 ready"
