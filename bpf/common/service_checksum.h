/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef PRONGHORN_SERVICE_CHECKSUM_H
#define PRONGHORN_SERVICE_CHECKSUM_H

/*
 * Checksums after a change, from the difference alone: a packet that arrived damaged leaves damaged.
 * Sums are of 16-bit words in ones' complement (RFC 1071, RFC 1624) and do not depend on byte order.
 */
#include <linux/types.h>

static __always_inline __u16 sum_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/* Adds the difference that replacing a word makes; 16-bit fields are given as they lie in memory. */
static __always_inline __u64 sum_replace(__u64 sum, __u32 old, __u32 new)
{
	return sum + (__u32)~old + new;
}

static __always_inline __u64 sum_replace_short(__u64 sum, __u16 old, __u16 new)
{
	return sum + (__u16)~old + new;
}

static __always_inline __u64 sum_replace_address(__u64 sum, const __be32 *old, const __be32 *new)
{
	sum = sum_replace(sum, old[0], new[0]);
	sum = sum_replace(sum, old[1], new[1]);
	sum = sum_replace(sum, old[2], new[2]);
	return sum_replace(sum, old[3], new[3]);
}

static __always_inline __u64 sum_address(__u64 sum, const __be32 *address)
{
	return sum + address[0] + address[1] + address[2] + address[3];
}

/* HC' = ~(~HC + ~m + m') (RFC 1624, equation 3). */
static __always_inline __u16 checksum_update(__u16 checksum, __u64 difference)
{
	return ~sum_fold((__u16)~checksum + difference);
}

#define CRC32C_POLYNOMIAL 0x82f63b78u

/* a * b modulo the CRC32c polynomial, bits reflected (bit 31 is the coefficient of 1). */
static __always_inline __u32 crc32c_multiply(__u32 a, __u32 b)
{
	__u32 product = 0;

	for (int i = 0; i < 32; i++) {
		product ^= b & -(a >> 31);
		a <<= 1;
		b = (b >> 1) ^ (CRC32C_POLYNOMIAL & -(b & 1));
	}
	return product;
}

/* By k: x to the power of 8 * 2^k, that is what 2^k octets of zeroes after the change do to it. */
static const __u32 crc32c_shift[16] = {
	0x00800000, 0x00008000, 0x82f63b78, 0x6ea2d55c, 0x18b8ea18, 0x510ac59a, 0xb82be955, 0xb8fdb1e7,
	0x88e56f72, 0x74c360a4, 0xe4172b16, 0x0d65762a, 0x35d73a62, 0x28461564, 0xbf455269, 0xe2ea32dc,
};

/*
 * What changing the first four octets by the exclusive or `change` (as in memory) does to the CRC32c of
 * `length` octets; to be combined with the checksum as it lies in memory by exclusive or. The CRC is
 * linear, so the packet's other octets do not matter. Not inlined: verified once.
 */
static __noinline __u32 crc32c_difference(__u32 change, __u32 length)
{
	/* In memory order a little-endian word is the reflected polynomial; all of the message follows its start. */
	__u32 crc = change;

	for (int k = 0; k < 16; k++) {
		if (length & (1u << k))
			crc = crc32c_multiply(crc, crc32c_shift[k]);
	}
	return crc;
}

#endif
