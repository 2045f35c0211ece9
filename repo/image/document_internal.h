/*
 * What the readers of the different documents share.
 */
#ifndef OV_REPO_IMAGE_DOCUMENT_INTERNAL_H
#define OV_REPO_IMAGE_DOCUMENT_INTERNAL_H

#include "repo/image/document.h"
#include "repo/image/members.h"

#define OV_MEDIA_DOCKER_CONFIG "application/vnd.docker.container.image.v1+json"
#define OV_MEDIA_DOCKER_INDEX "application/vnd.docker.distribution.manifest.list.v2+json"
#define OV_MEDIA_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define OV_MEDIA_DOCKER_SCHEMA1 "application/vnd.docker.distribution.manifest.v1+json"
#define OV_MEDIA_DOCKER_SIGNED_SCHEMA1 "application/vnd.docker.distribution.manifest.v1+prettyjws"
#define OV_MEDIA_EMPTY "application/vnd.oci.empty.v1+json"
#define OV_MEDIA_OCTETS "application/octet-stream" /* configs of images of 2015 */

/* type "/" subtype, each a restricted-name of RFC 6838 section 4.2. */
bool ov_media_type_is_valid(const char *media_type);

/* Whether a config of this type is that of an image. */
bool ov_media_type_is_config(const char *media_type);

/* Whether layers of this type need not be distributed: Docker's foreign, OCI's nondistributable. */
bool ov_media_type_is_restricted(const char *media_type);

/* os, architecture and variant of an object. Errors: INVALID. */
OV_MUST_CHECK enum ov_status ov_platform_read(const json_t *object, struct ov_platform *out,
                                              struct ov_error *err);

/* Appends what base64 (RFC 4648 section 4, with padding) stands for. Errors: INVALID. */
OV_MUST_CHECK enum ov_status ov_base64_decode(const char *text, struct ov_buf *out,
                                              struct ov_error *err);

#endif
