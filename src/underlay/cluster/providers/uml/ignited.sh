# Before the first process of a node that Ignition makes: sourced by the shell that the kernel
# started, once Ignition's tree has been laid over the root. After it that shell becomes systemd.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
. account
# systemd acts on presets where it finds no machine id, and then on all of them: on Debian, where
# what no preset names is enabled, it would enable every service. Here it acts on Ignition's.
presets=
if [ -e /etc/systemd/system-preset/20-ignition.preset ]; then
    while read -r _ unit _; do
        presets="$presets $unit"
    done </etc/systemd/system-preset/20-ignition.preset
fi
if [ -n "$presets" ]; then
    mount -t proc proc /proc
    SYSTEMD_OFFLINE=1 systemctl preset --quiet $presets
    umount /proc
fi
: >"$applied"
