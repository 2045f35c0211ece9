/*
 * Where images go, named as in skopeo: oci:DIR[:REF], oci-archive:FILE[:REF],
 * docker-archive:FILE[:NAME:TAG], dir:DIR.
 *
 * An OCI layout is added to: blobs that are there with the right size are kept, and an entry of the
 * same REF in index.json is replaced, all by rename, so that a reader sees the old or the new
 * image. Archives are made under a temporary name and renamed when whole; a file that is there is
 * replaced only if it is an archive of the same kind or empty (else INVALID). Everything is synced
 * before ov_destination_finish() returns. Names, modes, owners and times in archives are constant,
 * so that the same image gives the same archive.
 */
#ifndef OV_REPO_IMAGE_DESTINATION_H
#define OV_REPO_IMAGE_DESTINATION_H

#include "engine/base/io.h"
#include "repo/image/document.h"

struct ov_destination;

/* reference: for oci and oci-archive the name if the spec has none, for docker-archive the RepoTag;
 * may be NULL. Errors: INVALID (no such form), EXISTS, ACCESS, IO. */
OV_MUST_CHECK enum ov_status ov_destination_open(const char *spec, const char *reference,
                                                 struct ov_destination **out, struct ov_error *err);
/* Without ov_destination_finish() nothing that was there has changed but for added blobs.
 * Accepts NULL. */
void ov_destination_close(struct ov_destination *destination);
OV_DEFINE_AUTO(ov_destination_close_auto, struct ov_destination, ov_destination_close)

/* docker-archives hold layers as plain tars, and no manifest of theirs. */
bool ov_destination_wants_plain_layers(const struct ov_destination *destination);

/* Whether a blob is there already. Always false for archives. */
bool ov_destination_has(const struct ov_destination *destination, const struct ov_digest *digest,
                        uint64_t size);

/*
 * Begins a blob; sink takes its bytes. The digest is computed on the way.
 * One blob at a time. plain layers of a docker-archive included.
 */
OV_MUST_CHECK enum ov_status ov_destination_blob_begin(struct ov_destination *destination,
                                                       struct ov_sink *sink, struct ov_error *err);

/* Ends the blob: *digest (sha256) and *size are what was written. */
OV_MUST_CHECK enum ov_status ov_destination_blob_end(struct ov_destination *destination,
                                                     struct ov_digest *digest, uint64_t *size,
                                                     struct ov_error *err);

/*
 * A document as a blob. Its digest is that of the bytes, by `algorithm`.
 */
OV_MUST_CHECK enum ov_status ov_destination_document(struct ov_destination *destination,
                                                     struct ov_bytes bytes,
                                                     enum ov_digest_algorithm algorithm,
                                                     struct ov_digest *digest,
                                                     struct ov_error *err);

/*
 * The image is whole: points the reference to its manifest (or index), or for docker-archives
 * writes manifest.json with this config and these layers, all written before as blobs. top: media
 * type, digest and size of the manifest or index; its bytes: manifest. Errors: INVALID (dir: cannot
 * hold an index).
 */
OV_MUST_CHECK enum ov_status
ov_destination_finish(struct ov_destination *destination, const struct ov_descriptor *top,
                      struct ov_bytes manifest, const struct ov_descriptor *config,
                      const struct ov_descriptor *layers, size_t layer_count, struct ov_error *err);

#endif
