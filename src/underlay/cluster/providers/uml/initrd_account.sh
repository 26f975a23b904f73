# Before Ignition makes accounts in the root of a node: the one that the lab's user logs in to.
. account
# Ignition writes a user's keys below a home, and makes none where there is the account.
[ -z "$user" ] || mkdir -m 700 "/home/$user"
[ -z "$user" ] || chown 1000:1000 "/home/$user"
