#include "repo/repo.h"

#include "engine/base/file.h"
#include "engine/sealed.h"
#include "repo/layout.h"
#include "repo/texts.h"

#include <stdlib.h>

/* Random, so that no filesystem shrinks it. */
enum ov_status ov_repo_write_reserve(struct ov_backend *backend, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_header header;
    ov_header_init_clear(&header, OV_FILE_RESERVE);
    OV_TRY(ov_buf_append(&file, header.raw, OV_HEADER_SIZE, err));
    OV_TRY(ov_buf_append_zeros(&file, OV_RESERVE_SIZE, err));
    ov_random(file.data + OV_HEADER_SIZE, OV_RESERVE_SIZE);
    OV_TRY(ov_trailer_append(&file, err));
    return backend->ops->replace(backend, OV_PATH_RESERVE, ov_buf_view(&file), err);
}

/* config comes last: with it there is a whole repository, without it there is none. */
enum ov_status ov_repo_init(const struct ov_repo_options *options, struct ov_id *repository,
                            struct ov_error *err)
{
    OV_AUTO(ov_backend_close_auto) struct ov_backend *backend = NULL;
    OV_AUTO(ov_keyring_free_auto) struct ov_keyring *keyring = NULL;
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_config config;
    char slot[OV_SLOT_NAME_SIZE];
    OV_TRY(ov_backend_create(options->location, &backend, err));
    OV_TRY(ov_config_generate(&config, &file, err));
    OV_TRY(ov_keyring_generate(&config.repository, &keyring, err));
    OV_TRY(ov_keys_add(backend, keyring, options->credential, NULL, slot, err));
    OV_TRY(ov_repo_write_reserve(backend, err));
    OV_TRY(ov_txlog_create(backend, &config, keyring, err));
    OV_TRY(backend->ops->create(backend, OV_PATH_CONFIG, ov_buf_view(&file), err));
    *repository = config.repository;
    return OV_OK;
}

static enum ov_status make_cache_directory(struct ov_repo *repo, const char *parent)
{
    struct ov_error problem;
    OV_AUTO(ov_buf_release) struct ov_buf path = {0};
    struct ov_id_text hex = ov_id_hex(&repo->config.repository);
    OV_TRY(ov_buf_append(&path, parent, strlen(parent), &problem));
    OV_TRY(ov_buf_append(&path, "/", 1, &problem));
    OV_TRY(ov_buf_append(&path, hex.text, OV_ID_HEX_SIZE, &problem));
    enum ov_status status = ov_make_directories((const char *)path.data, &problem);
    if (status >= 0)
        status = ov_text_copy((const char *)path.data, &repo->cache_directory, &problem);
    if (status < 0)
        ov_report_warn(repo->report, NULL, &problem); /* works without, only slower */
    return status;
}

enum ov_status ov_repo_unlock(const struct ov_repo_options *options, struct ov_repo **out,
                              struct ov_error *err)
{
    OV_AUTO(ov_repo_close_auto) struct ov_repo *repo = calloc(1, sizeof(*repo));
    if (!repo)
        return ov_fail_no_memory(err);
    repo->report = options->report;
    OV_TRY(ov_backend_open(options->location, &repo->backend, err));
    enum ov_status status = ov_config_read(repo->backend, &repo->config, err);
    if (status < 0)
        return ov_error_context(err, status, "%s", options->location);
    OV_TRY(ov_keys_unlock(repo->backend, &repo->config, options->credential, options->report,
                          &repo->keyring, repo->slot, err));
    if (options->cache_directory)
        (void)!make_cache_directory(repo, options->cache_directory);
    *out = ov_steal(repo);
    return OV_OK;
}

enum ov_status ov_repo_open_log(struct ov_repo *repo, const struct ov_repo_options *options,
                                struct ov_error *err)
{
    const struct ov_txlog_options log_options = {
        .memory_directory = options->memory_directory,
        .accept_rollback = options->accept_rollback,
        .report = options->report,
    };
    return ov_txlog_open(repo->backend, &repo->config, repo->keyring, &log_options, &repo->log,
                         err);
}

enum ov_status ov_repo_open(const struct ov_repo_options *options, struct ov_repo **out,
                            struct ov_error *err)
{
    OV_AUTO(ov_repo_close_auto) struct ov_repo *repo = NULL;
    OV_TRY(ov_repo_unlock(options, &repo, err));
    OV_TRY(ov_repo_open_log(repo, options, err));
    *out = ov_steal(repo);
    return OV_OK;
}

void ov_repo_close(struct ov_repo *repo)
{
    if (!repo)
        return;
    ov_lookup_close(repo->lookup);
    ov_pack_cache_close(repo->packs);
    ov_txlog_close(repo->log);
    ov_keyring_free(repo->keyring);
    ov_backend_close(repo->backend);
    free(repo->cache_directory);
    free(repo);
}

enum ov_status ov_repo_load_index(struct ov_repo *repo, struct ov_error *err)
{
    const struct ov_state *state = ov_repo_state(repo);
    if (repo->lookup && repo->index_number == state->number)
        return OV_OK;
    ov_lookup_close(ov_steal(repo->lookup));
    if (!repo->packs) /* packs never change, and workers may be reading them */
        OV_TRY(ov_pack_cache_open(repo->backend, repo->keyring, &repo->packs, err));
    enum ov_status status = ov_lookup_open(repo->backend, repo->keyring, state,
                                           repo->cache_directory, &repo->lookup, err);
    /* A segment may have been merged away between reading the log and reading it. */
    while (status == OV_ERR_NOT_FOUND) {
        uint64_t before = state->number;
        struct ov_error missing = *err;
        OV_TRY(ov_txlog_refresh(repo->log, err));
        if (state->number == before)
            return ov_fail(err, OV_ERR_CORRUPT, "part of the index is missing: %.500s",
                           missing.message);
        status = ov_lookup_open(repo->backend, repo->keyring, state, repo->cache_directory,
                                &repo->lookup, err);
    }
    OV_TRY(status);
    repo->index_number = state->number;
    return OV_OK;
}

enum ov_status ov_repo_catch_up(struct ov_repo *repo, struct ov_error *err)
{
    uint64_t before = ov_repo_state(repo)->number;
    OV_TRY(ov_txlog_refresh(repo->log, err));
    if (ov_repo_state(repo)->number == before && repo->index_number == before)
        return OV_END;
    return ov_repo_load_index(repo, err);
}
