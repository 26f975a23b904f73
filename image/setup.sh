#!/bin/sh
# Turn a fresh Debian root into a node. Runs once, inside that root, after files/,
# the kernel's modules, the cni program and busybox's tar have been laid over it.
set -eu

for release in /usr/lib/modules/*; do
    depmod "$(basename "$release")"
done
# The one kernel that came as a package is the virtual machines'.
release=$(basename /boot/vmlinuz-*)
sh /usr/share/underlay/boot/make "${release#vmlinuz-}" /usr/share/underlay/boot/out
rm -rf /boot/*
mkdir -p /usr/share/underlay/rootfs
tar -C /usr/share/underlay/rootfs -xf /usr/share/underlay/busybox.tar

# The article's rkt read /etc/rkt/net.d; today's runtimes read /etc/cni/net.d.
mkdir -p /etc/rkt/net.d /etc/cni
rm -rf /etc/cni/net.d
ln -s ../rkt/net.d /etc/cni/net.d

update-alternatives --quiet --set iptables /usr/sbin/iptables-legacy
update-alternatives --quiet --set ip6tables /usr/sbin/ip6tables-legacy
update-alternatives --quiet --set arptables /usr/sbin/arptables-legacy || true
update-alternatives --quiet --set ebtables /usr/sbin/ebtables-legacy || true

chmod 0440 /etc/sudoers.d/underlay
printf '127.0.0.1 localhost\n::1 localhost\n' > /etc/hosts
printf 'node\n' > /etc/hostname
# What the root is called differs between providers; whoever boots the kernel mounts it.
: > /etc/fstab
: > /etc/machine-id
rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub
ssh-keygen -q -t ed25519 -N '' -C node -f /etc/ssh/ssh_host_ed25519_key
rm -rf /etc/resolv.conf /var/lib/apt/lists/* /var/cache/apt/*.bin
printf '' > /etc/resolv.conf

# mke2fs 1.47.2 cannot read file names outside ASCII from a pax archive, which mmdebstrap
# writes ("Pathname can't be converted"); Debian has two, of one authority's certificate.
LC_ALL=C find / -xdev -name '*[! -~]*' -delete

units='getty.target console-getty.service getty@tty1.service serial-getty@.service
systemd-logind.service systemd-timesyncd.service systemd-resolved.service systemd-binfmt.service
systemd-random-seed.service systemd-journal-flush.service systemd-journal-catalog-update.service
systemd-update-done.service systemd-hwdb-update.service systemd-network-generator.service
systemd-firstboot.service systemd-sysusers.service systemd-remount-fs.service
systemd-user-sessions.service systemd-update-utmp.service systemd-networkd-wait-online.service
systemd-networkd-persistent-storage.service systemd-machine-id-commit.service
systemd-tpm2-setup.service systemd-tpm2-setup-early.service systemd-pstore.service
systemd-pcrmachine.service systemd-pcrphase.service systemd-pcrphase-sysinit.service systemd-boot-random-seed.service
systemd-ask-password-console.path systemd-ask-password-wall.path systemd-rfkill.socket
systemd-fsck-root.service systemd-quotacheck.service
modprobe@configfs.service modprobe@dm_mod.service modprobe@drm.service modprobe@efi_pstore.service
modprobe@fuse.service modprobe@loop.service
dev-mqueue.mount dev-hugepages.mount sys-kernel-debug.mount sys-kernel-tracing.mount
sys-fs-fuse-connections.mount sys-kernel-config.mount proc-sys-fs-binfmt_misc.automount
apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service
fstrim.timer systemd-tmpfiles-clean.timer sshd-keygen.service cloud-init-hotplugd.socket
podman.service podman.socket podman-auto-update.service podman-auto-update.timer podman-restart.service
podman-clean-transient.service netavark-dhcp-proxy.service netavark-dhcp-proxy.socket
netavark-firewalld-reload.service
systemd-udev-load-credentials.service systemd-modules-load.service kmod-static-nodes.service
systemd-tmpfiles-setup-dev-early.service tmp.mount run-lock.mount systemd-initctl.socket
systemd-creds.socket systemd-hostnamed.socket systemd-sysext.socket'
for unit in $units; do
    ln -sf /dev/null "/etc/systemd/system/$unit"
done
# Each is a program that looks at every boot for what a node hasn't: file systems in /etc/fstab,
# consoles, GPT partitions, a TPM, init scripts, unit files of containers. cloud-init's looks for a
# datasource; a node's is known, and what turns cloud-init off is asked for by its units as well.
mkdir -p /etc/systemd/system-generators
for generator in cloud-init podman-system systemd-debug systemd-fstab systemd-getty systemd-gpt-auto \
    systemd-hibernate-resume systemd-rc-local systemd-run systemd-ssh systemd-system-update \
    systemd-sysv systemd-tpm2; do
    ln -sf /dev/null "/etc/systemd/system-generators/$generator-generator"
done
# Without the masked unit that would remove it, /run/nologin locks out everybody but root.
mkdir -p /etc/tmpfiles.d
for rule in systemd-nologin x11 home legacy tpm2-tss-fapi credstore provision systemd-tmp; do
    ln -sf /dev/null "/etc/tmpfiles.d/$rule.conf"
done
for unit in docker.service containerd.service; do
    rm -f "/etc/systemd/system/multi-user.target.wants/$unit"
done
ln -s /usr/lib/systemd/system/cloud-init.target /etc/systemd/system/multi-user.target.wants/
systemctl enable --quiet systemd-networkd.service docker.socket ssh.service
systemctl set-default --quiet multi-user.target
