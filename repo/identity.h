/*
 * Who is at work: recorded in the log, in snapshots and in key slots, for people to read.
 */
#ifndef OV_REPO_IDENTITY_H
#define OV_REPO_IDENTITY_H

struct ov_identity {
    char user[64]; /* valid UTF-8, maybe empty */
    char host[64];
};

void ov_identity_get(struct ov_identity *out);

/* "ociv2 0.1.0" */
#define OV_PROGRAM "ociv2 " OCIV2_VERSION

#endif
