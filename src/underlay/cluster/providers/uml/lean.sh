# First process of a lean node, in place of systemd and cloud-init; sourced by the shell that
# the kernel started, once the seed (cluster/uml/lean.py) has been laid over the root.
# As few programs as can be: to start one costs a node some hundredths of a second.
now() {
    read -r up rest </proc/uptime
    # Microseconds, as systemd counts: uptime has two decimals.
    now=${up%.*}${up#*.}0000
    now=${now#0}
}
took() {
    before=$now
    now
    echo "$1 $before $now" >>/run/underlay/boot-times
}
# A zombie of each container that ends would stay: the first process collects them.
stay() {
    while :; do sleep 86400; done
}

set +e
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
seed=/usr/share/underlay/seed
busybox mount -t proc -o nosuid,nodev,noexec proc /proc
now
busybox mount -a -T $seed/fstab
mkdir -p /run/underlay /run/sshd /run/netns
echo "kernel 0 $now" >/run/underlay/boot-times
took mounts

read -r name </etc/hostname
echo "$name" >/proc/sys/kernel/hostname
# systemd's PID 1 loads it by its first socket; here nobody has, when the settings are made.
modprobe ipv6
/usr/lib/systemd/systemd-sysctl
echo 0 >/proc/sys/net/ipv6/conf/default/accept_ra
ip -batch $seed/links
took network

. account
# As systemd has it; what a session may open follows from its server's.
ulimit -Hn 524288
/usr/sbin/sshd
took sshd

/opt/underlay/node >/run/underlay/report.new 2>/run/underlay/log
took containers
mv /run/underlay/report.new /run/underlay/report.json
stay
