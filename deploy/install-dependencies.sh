#!/bin/sh
# Installs the Debian packages Viaduct needs, and says which and why.
#
#   deploy/install-dependencies.sh [runtime] [test] [neutron]      default: runtime
#
#   runtime   what the agents need on a network node
#   test      what the demo and the tests need besides (clients, and the usual tools to look with)
#   neutron   what the tests against Neutron need besides
#
# Quick when everything is there (one dpkg-query). Needs no terminal, starts no service. Exits 0 when all is
# there, 1 when something could not be installed.
set -eu

# package|group|why
packages='
libnftables1|runtime|nftables rulesets, loaded in-process
dnsmasq-base|runtime|DHCP and DNS server of each network (the -base package starts no service)
radvd|runtime|router advertisements: IPv6 of each router and of networks without one
iproute2|runtime|ip: for people who look into a namespace
nftables|test|nft: shows the rulesets, and is the yardstick of the bench
haproxy|test|serves metadata as with the agents of Neutron, to be taken over
iptables|test|makes rules as the agents of Neutron do, to be taken over
conntrack|test|shows and checks connection tracking
isc-dhcp-client|test|dhclient: a real DHCP client in the test instances
dhcpcd-base|test|dhcpcd: another DHCP client, of both IP versions at once
dnsmasq-utils|test|dhcp_release: gives a lease back
kea-dhcp6-server|test|delegates IPv6 prefixes to routers, as a provider does
bind9-dnsutils|test|dig: asks the DNS server of a network
ndisc6|test|rdisc6: asks for router advertisements
tcpdump|test|captures packets for the checks
curl|test|fetches metadata from the instances
iputils-ping|test|ping
iputils-arping|test|arping
procps|test|ps, sysctl
rabbitmq-server|neutron|the message broker that agents and neutron-server meet at
neutron-server|neutron|a real server for the agents to work with
neutron-linuxbridge-agent|neutron|wires the taps of the agents, as on a node
neutron-l3-agent|neutron|what the L3 agent is compared with (and haproxy, radvd, keepalived, which it starts)
neutron-dhcp-agent|neutron|what the DHCP agent is compared with
neutron-metadata-agent|neutron|what the metadata agent is compared with
mariadb-server|neutron|the database of neutron-server, of which the tests start their own
python3-pymysql|neutron|how neutron-server talks to it
openvswitch-switch|neutron|ovsdb-server and ovs-vswitchd, of which the tests start their own
neutron-openvswitch-agent|neutron|wires the ports of the agents in Open vSwitch, as on a node
'

groups=${*:-runtime}
for group in $groups; do
    case $group in
        runtime | test | neutron) ;;
        *)
            echo "install-dependencies: unknown group '$group' (known: runtime, test, neutron)" >&2
            exit 64
            ;;
    esac
done

if ! command -v dpkg-query >/dev/null; then
    echo "install-dependencies: this is not Debian or one of its kind (no dpkg-query); install by hand:" >&2
    echo "$packages" | sed -n 's/^\([^|]*\)|\([^|]*\)|\(.*\)/  \1: \3/p' >&2
    exit 1
fi

in_groups() {
    case " $groups " in *" $1 "*) return 0 ;; *) return 1 ;; esac
}

names=$(echo "$packages" | cut -d'|' -f1 | tr '\n' ' ')
# shellcheck disable=SC2086  # a list of words
installed=" $(dpkg-query -W -f='${db:Status-Status} ${Package}\n' $names 2>/dev/null |
    sed -n 's/^installed //p' | tr '\n' ' ' || true)"

missing=''
while IFS='|' read -r name group why; do
    if [ -z "$name" ] || ! in_groups "$group"; then continue; fi
    case $installed in
        *" $name "*) ;;
        *)
            [ -n "$missing" ] || echo "Debian packages to install:"
            printf '  %-16s %s\n' "$name" "$why"
            missing="$missing $name"
            ;;
    esac
done <<END
$packages
END

if [ -z "$missing" ]; then exit 0; fi

as_root=''
if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null; then
        as_root='sudo'
    else
        echo "install-dependencies: run as root: apt-get install --no-install-recommends$missing" >&2
        exit 1
    fi
fi

# A package's maintainer script may start what it brings. Debian's own switch against that is policy-rc.d; an
# existing one is the administrator's and stays.
policy=${POLICY_RC_D:-/usr/sbin/policy-rc.d}
if [ ! -e "$policy" ]; then
    # shellcheck disable=SC2016
    trap '$as_root rm -f "$policy"' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
    $as_root chmod 755 "$policy"
fi

apt() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
        -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 -o Acquire::Retries=3 "$@" </dev/null
}

# The lists are fetched only when apt does not know a package, or its stored list is out of date.
# shellcheck disable=SC2086
if ! apt install --no-install-recommends $missing; then
    echo "install-dependencies: fetching the package lists, then once more"
    apt update
    apt install --no-install-recommends $missing
fi
