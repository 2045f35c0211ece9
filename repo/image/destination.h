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

/*
 * reference: for oci and oci-archive the name if the spec has none, for docker-archive the RepoTag
 * (in full: with its tag); may be NULL. A directory is made, those above it are not.
 * Errors: INVALID (no such form, a reference that the form cannot hold, a file that is no such
 * archive or not a regular file, a layout whose index.json is damaged), EXISTS (a directory of
 * something else), UNSUPPORTED (a layout of another version), NOT_FOUND, ACCESS, IO.
 */
OV_MUST_CHECK enum ov_status ov_destination_open(const char *spec, const char *reference,
                                                 struct ov_destination **out, struct ov_error *err);
/*
 * Without ov_destination_finish() nothing that was there has changed but for added blobs. After any
 * other call has failed, this is the only one allowed. Accepts NULL.
 */
void ov_destination_close(struct ov_destination *destination);
OV_DEFINE_AUTO(ov_destination_close_auto, struct ov_destination, ov_destination_close)

/* docker-archives hold layers as plain tars, and no manifest of theirs. */
bool ov_destination_wants_plain_layers(const struct ov_destination *destination);

/* Whether a blob is there already (and on disk); of archives, whether it was written to this one.
 */
bool ov_destination_has(const struct ov_destination *destination, const struct ov_digest *digest,
                        uint64_t size);

/*
 * Begins a blob; sink takes its bytes, in pieces of any size. The digest is computed on the way.
 * One blob at a time. plain layers of a docker-archive included. Written again, a blob is there
 * once.
 */
OV_MUST_CHECK enum ov_status ov_destination_blob_begin(struct ov_destination *destination,
                                                       struct ov_sink *sink, struct ov_error *err);

/* The same for a blob that its manifest names by another digest than sha256. */
OV_MUST_CHECK enum ov_status ov_destination_blob_begin_as(struct ov_destination *destination,
                                                          enum ov_digest_algorithm algorithm,
                                                          struct ov_sink *sink,
                                                          struct ov_error *err);

/* Ends the blob: *digest and *size are what was written. */
OV_MUST_CHECK enum ov_status ov_destination_blob_end(struct ov_destination *destination,
                                                     struct ov_digest *digest, uint64_t *size,
                                                     struct ov_error *err);

/*
 * A document as a blob: a config, or a manifest below an index. Its digest is that of the bytes, by
 * `algorithm`. The top document is for ov_destination_finish() to write, but does no harm.
 */
OV_MUST_CHECK enum ov_status ov_destination_document(struct ov_destination *destination,
                                                     struct ov_bytes bytes,
                                                     enum ov_digest_algorithm algorithm,
                                                     struct ov_digest *digest,
                                                     struct ov_error *err);

/*
 * The image is whole: points the reference to its manifest (or index), or for docker-archives
 * writes manifest.json with this config and these layers, all written before as blobs. top: media
 * type, digest and size of the manifest or index, and the platform for index.json, if it shall be
 * there; its bytes: manifest, written here. For docker-archives both are ignored. config and
 * layers: of an index NULL and 0. Once it has succeeded, only ov_destination_close() may follow.
 * Errors: INVALID (dir: cannot hold an index; a config or a layer was not written; top is not the
 * manifest's), LIMIT (index.json is full), ACCESS, IO.
 */
OV_MUST_CHECK enum ov_status
ov_destination_finish(struct ov_destination *destination, const struct ov_descriptor *top,
                      struct ov_bytes manifest, const struct ov_descriptor *config,
                      const struct ov_descriptor *layers, size_t layer_count, struct ov_error *err);

#endif
