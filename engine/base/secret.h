/*
 * Key memory: embedded by value, wiped on release, never copied by assignment.
 */
#ifndef OV_ENGINE_BASE_SECRET_H
#define OV_ENGINE_BASE_SECRET_H

#include "engine/base/bytes.h"

#define OV_SECRET_SIZE 32

struct ov_secret {
    uint8_t bytes[OV_SECRET_SIZE];
};

/* Fills the secret from the system's random source. */
void ov_secret_random(struct ov_secret *secret);

/* Overwrites the bytes in a way the compiler may not remove. */
void ov_secret_wipe(struct ov_secret *secret);

/* Overwrites any memory that held a key or a password. */
void ov_wipe(void *data, size_t len);

#endif
