/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef PRONGHORN_CONSTS_H
#define PRONGHORN_CONSTS_H

/* Values on the wire that the UAPI headers available to a BPF program do not define. */
#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd

#define PROTOCOL_ICMP 1
#define PROTOCOL_TCP 6
#define PROTOCOL_UDP 17
#define PROTOCOL_ICMPV6 58

#define IPV4_DONT_FRAGMENT 0x4000
#define IPV4_MORE_FRAGMENTS 0x2000
#define IPV4_OFFSET_MASK 0x1fff

#define ICMP_DESTINATION_UNREACHABLE 3
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETER_PROBLEM 12
/* A code of the first. */
#define ICMP_FRAGMENTATION_NEEDED 4

#define ICMPV6_DESTINATION_UNREACHABLE 1
#define ICMPV6_PACKET_TOO_BIG 2
#define ICMPV6_TIME_EXCEEDED 3
#define ICMPV6_PARAMETER_PROBLEM 4

#define TCP_HEADER_LENGTH 20

/* The 13th octet of the TCP header. */
#define TCP_FLAG_FIN 0x01
#define TCP_FLAG_SYN 0x02
#define TCP_FLAG_RST 0x04
#define TCP_FLAG_ACK 0x10

/* include/net/tcp_states.h: part of the BPF ABI as enum BPF_TCP_*. */
#define KERNEL_TCP_TIME_WAIT 6
#define KERNEL_TCP_LISTEN 10

/* An interface with more receive queues than this is refused when it is opened. */
#define MAXIMUM_QUEUES 64
#define MAXIMUM_OWNED_PORTS 131072

#endif
