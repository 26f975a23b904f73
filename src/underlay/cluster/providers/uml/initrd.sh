#!/bin/busybox sh
# First process of a node whose Ignition runs in an initrd: at the first boot Ignition's stages make
# files, units and accounts on the root, and then the root's own first process starts.
fail() {
    echo "underlay: $*"
    busybox poweroff -f
}
export PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs run /run
mount -t ext4 -o rw /dev/ubda /sysroot || fail "there is no root to mount"
if [ ! -e "/sysroot$APPLIED" ]; then
    tar -xf /dev/ubdb -C / "$SEED/user.ign" "$SEED/account" || fail "there is no seed"
    mkdir -p /usr/lib/ignition
    mv "/$SEED/user.ign" /usr/lib/ignition/user.ign
    # The user gets the id that its home in the seed has, before Ignition gives that to another.
    chroot /sysroot /bin/sh <"/$SEED/account" || fail "the account could not be made"
    # Debian's Ignition is built to have SELinux label what it wrote, by setfiles and a policy that
    # the root names, and fails on one without. The setfiles here does nothing.
    selinux=/sysroot/etc/selinux/config
    if [ -e "$selinux" ]; then
        selinux=
    else
        mkdir -p "${selinux%/*}"
        echo SELINUXTYPE=none >"$selinux"
    fi
    for stage in fetch-offline files; do
        # Of its log the end says what went wrong; the rest goes to a file of the root.
        ignition --platform=file "--stage=$stage" --root=/sysroot --log-to-stdout \
            >>/run/ignition.log 2>&1 || {
            grep -E '^(CRITICAL|ERR|WARNING)' /run/ignition.log
            fail "Ignition's stage $stage failed, and the node isn't made"
        }
        [ ! -e /run/ignition/neednet ] || fail "Ignition would have to fetch what nodes can't reach"
    done
    if [ -n "$selinux" ]; then
        rm "$selinux"
        rmdir "${selinux%/*}" 2>/dev/null
    fi
    mkdir -p "/sysroot${APPLIED%/*}"
    cp /run/ignition.log "/sysroot${APPLIED%/*}/ignition.log"
    chmod 600 "/sysroot${APPLIED%/*}/ignition.log"
fi
umount /run /sys /proc
mount -o move /dev /sysroot/dev
# What the command line has after `--` is for the shell that lays the seed over the root.
unset PATH
exec /bin/busybox switch_root /sysroot /bin/sh "$@"
