"""The settings that systemd-networkd reads, by section: systemd.network(5), systemd.netdev(5).

Only sections that hosts' interfaces are usually made of are here; others aren't judged.
"""

from __future__ import annotations

_MATCH = """MACAddress PermanentMACAddress Path Driver Type Kind Property WLANInterfaceType SSID
    BSSID Name Host Virtualization KernelCommandLine KernelVersion Credential Architecture Version
    Firmware Group"""
_DHCP_COMMON = """UseDNS UseNTP UseSIP UseCaptivePortal UseDomains UseHostname SendHostname Hostname
    UseAddress UseDelegatedPrefix UseDNR MUDURL RequestOptions SendOption SendVendorOption UserClass
    VendorClass DUIDType DUIDRawData IAID RouteMetric RapidCommit NetLabel NFTSet SendRelease"""
_CHILD = "Mode Flags SourceMACAddress BroadcastMulticastQueueLength BroadcastQueueThreshold"

_NETWORK_FILE = {
    "Match": _MATCH,
    "Link": """MACAddress MTUBytes ARP Multicast AllMulticast Promiscuous Unmanaged Group
        RequiredForOnline RequiredFamilyForOnline ActivationPolicy TransmitQueues ReceiveQueues""",
    "Network": """Description DHCP DHCPServer LinkLocalAddressing IPv6LinkLocalAddressGenerationMode
        IPv6StableSecretAddress IPv4LLStartAddress IPv4LLRoute DefaultRouteOnDevice LLMNR
        MulticastDNS DNSOverTLS DNSSEC DNSSECNegativeTrustAnchors LLDP EmitLLDP BindCarrier Address
        Gateway DNS DNSDefaultRoute Domains NTP IPForward IPv4Forwarding IPv6Forwarding
        IPv4ReversePathFilter MPLSRouting MulticastIGMPVersion IPMasquerade IPv6PrivacyExtensions
        IPv6AcceptRA IPv6AcceptRouterAdvertisements IPv6DuplicateAddressDetection IPv6HopLimit
        IPv6RetransmissionTimeSec IPv4AcceptLocal IPv4RouteLocalnet IPv4ProxyARP
        IPv4ProxyARPPrivateVLAN ProxyARP IPv6ProxyNDP IPv6ProxyNDPAddress IPv6SendRA IPv6MTUBytes
        IPv6Token DHCPPrefixDelegation DHCPv6PrefixDelegation IPv6PrefixDelegation
        KeepMaster Bridge Bond VRF VLAN IPoIB IPVLAN IPVTAP MACVLAN MACVTAP MACsec VXLAN L2TP
        Tunnel Xfrm BatmanAdvanced HSR ActiveSlave PrimarySlave ConfigureWithoutCarrier
        IgnoreCarrierLoss KeepConfiguration LinkLocal UseDomains SpeedMeter Kind""",
    "Address": """Address Peer Broadcast Label PreferredLifetime Scope RouteMetric HomeAddress
        DuplicateAddressDetection ManageTemporaryAddress AddPrefixRoute PrefixRoute AutoJoin
        NetLabel NFTSet""",
    "Route": """Gateway GatewayOnLink GatewayOnlink Destination Source Metric IPv6Preference Scope
        PreferredSource Table HopLimit Protocol Type InitialCongestionWindow
        InitialAdvertisedReceiveWindow QuickAck FastOpenNoCookie MTUBytes
        TCPAdvertisedMaximumSegmentSize TCPCongestionControlAlgorithm TCPRetransmissionTimeoutSec
        TTLPropagate MultiPathRoute NextHop""",
    "DHCPv4": _DHCP_COMMON
    + """ UseMTU UseTimezone UseRoutes UseGateway RoutesToDNS RoutesToNTP ClientIdentifier
        VendorClassIdentifier RequestAddress RequestBroadcast Anonymize MaxAttempts ListenPort
        ServerPort DenyList AllowList IPServiceType SocketPriority RouteTable RouteMTUBytes Label
        FallbackLeaseLifetimeSec InitialCongestionWindow InitialAdvertisedReceiveWindow QuickAck
        IPv6OnlyMode BOOTP SendDecline RapidCommit CriticalConnection""",
    "DHCPv6": _DHCP_COMMON
    + """ PrefixDelegationHint UnassignedSubnetPolicy WithoutRA SendDecline
        ForceDHCPv6PDOtherInformation""",
    "IPv6AcceptRA": """Token UseDNS UseDomains RouteTable RouteMetric QuickAck UseMTU UseHopLimit
        UseReachableTime UseRetransmissionTime UseICMP6RateLimit UseGateway UseRoutePrefix
        UseCaptivePortal UsePREF64 UseDNR UseRedirect UseAutonomousPrefix UseOnLinkPrefix
        RouterDenyList RouterAllowList PrefixDenyList PrefixAllowList RouteDenyList RouteAllowList
        DHCPv6Client NetLabel NFTSet DenyList AllowList""",
    "BridgeVLAN": "VLAN EgressUntagged PVID",
}  # fmt: skip
_NETDEV_FILE = {
    "Match": _MATCH,
    "NetDev": "Description Name Kind MTUBytes MACAddress NetworkNamespace",
    "VLAN": """Id GVRP MVRP LooseBinding ReorderHeader Protocol EgressQOSMaps IngressQOSMaps""",
    "MACVLAN": _CHILD,
    "MACVTAP": _CHILD,
    "IPVLAN": "Mode Flags",
    "IPVTAP": "Mode Flags",
    "Bridge": """HelloTimeSec MaxAgeSec ForwardDelaySec AgeingTimeSec Priority GroupForwardMask
        DefaultPVID MulticastQuerier MulticastSnooping VLANFiltering VLANProtocol STP
        MulticastIGMPVersion FDBMaxLearned LinkLocalLearning""",
    "Bond": """Mode TransmitHashPolicy LACPTransmitRate MIIMonitorSec PeerNotifyDelaySec UpDelaySec
        DownDelaySec LearnPacketIntervalSec AdSelect AdActorSystemPriority AdUserPortKey
        AdActorSystem FailOverMACPolicy ARPValidate ARPIntervalSec ARPIPTargets ARPAllTargets
        PrimaryReselectPolicy ResendIGMP PacketsPerSlave GratuitousARP AllSlavesActive
        DynamicTransmitLoadBalancing MinLinks ARPMissedMax""",
}  # fmt: skip


def known_keys(suffix: str) -> dict[str, tuple[str, ...]]:
    """Return the settings by section that a file which ends in ``suffix`` may have."""
    table = _NETDEV_FILE if suffix == ".netdev" else _NETWORK_FILE
    found = {section: tuple(words.split()) for section, words in table.items()}
    return {**found, "DHCP": found["DHCPv4"]} if "DHCPv4" in found else found
