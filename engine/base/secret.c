#include "engine/base/secret.h"

#include <sodium.h>

void ov_secret_random(struct ov_secret *secret)
{
    randombytes_buf(secret->bytes, sizeof(secret->bytes));
}

void ov_secret_wipe(struct ov_secret *secret)
{
    sodium_memzero(secret->bytes, sizeof(secret->bytes));
}

void ov_wipe(void *data, size_t len)
{
    sodium_memzero(data, len);
}
