#include "engine/bucket.h"

/* Formats whose contents are compressed already. */
static const struct {
    const char *magic;
    size_t len;
} packed[] = {
    {"\x1f\x8b", 2}, /* gzip */
    {"\xfd"
     "7zXZ",
     5},                       /* xz */
    {"\x28\xb5\x2f\xfd", 4},   /* zstd */
    {"BZh", 3},                /* bzip2 */
    {"\x04\x22\x4d\x18", 4},   /* lz4 */
    {"7z\xbc\xaf\x27\x1c", 6}, /* 7-zip */
    {"PK\x03\x04", 4},         /* zip, jar, wheel */
    {"\x89PNG", 4},            /* PNG */
    {"\xff\xd8\xff", 3},       /* JPEG */
    {"GIF8", 4},               /* GIF */
    {"wOFF", 4},
    {"wOF2", 4}, /* web fonts */
    {"OggS", 4},
    {"fLaC", 4}, /* audio */
};

/* ELF: e_machine at 18. */
static bool is_x86_elf(struct ov_bytes head)
{
    if (head.len < 20 || memcmp(head.data,
                                "\x7f"
                                "ELF",
                                4) != 0)
        return false;
    unsigned machine = head.data[18] | (unsigned)head.data[19] << 8;
    return machine == 3 || machine == 62;
}

enum ov_bucket ov_bucket_of_file(struct ov_bytes head)
{
#if defined(__x86_64__) || defined(__i386__)
    const bool archives_hold_x86 = true;
#else
    const bool archives_hold_x86 = false;
#endif
    if (is_x86_elf(head))
        return OV_BUCKET_X86;
    /* A static library does not say for which machine it is. */
    if (archives_hold_x86 && head.len >= 8 && memcmp(head.data, "!<arch>\n", 8) == 0)
        return OV_BUCKET_X86;
    for (size_t i = 0; i < OV_ARRAY_LEN(packed); i++) {
        if (head.len >= packed[i].len && memcmp(head.data, packed[i].magic, packed[i].len) == 0)
            return OV_BUCKET_PACKED;
    }
    return OV_BUCKET_PLAIN;
}
