/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* IP in IP (RFC 2003): an outer header, and nothing between. */
#pragma once

static __always_inline void ipip_write(void *at, const struct wrapping *w)
{
}
