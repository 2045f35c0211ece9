/*
 * Holds the model's state machine to the one that ships: repo/state.c.
 */
#include "repo/state.h"
#include "tests/model/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REMEMBERED 65536

static void must(enum ov_status status, const struct ov_error *err)
{
    if (status < 0) {
        fprintf(stderr, "log_model: %s\n", err->message);
        exit(1);
    }
}

static struct ov_id name_of(char kind, unsigned number)
{
    struct ov_id id = {{(uint8_t)kind, (uint8_t)number}};
    id.bytes[8] = (uint8_t)(number + 1);
    return id;
}

static void build_state(const struct view *view, struct ov_state *out)
{
    struct ov_error err;
    for (unsigned i = 0; i < MAX_OBJECTS; i++) {
        struct ov_object object = {OV_OBJECT_DATA_PACK, name_of('p', i), 1};
        enum ov_object_state condemned =
            view->orphans & bit(i) ? OV_OBJECT_CONDEMNED_ORPHAN : OV_OBJECT_CONDEMNED;
        enum ov_object_state now = view->live & bit(i)        ? OV_OBJECT_LIVE
                                   : view->condemned & bit(i) ? condemned
                                   : view->dropped & bit(i)   ? OV_OBJECT_DROPPED
                                                              : OV_OBJECT_UNKNOWN;
        if (now != OV_OBJECT_UNKNOWN)
            must(ov_state_add_object(out, &object, now, &err), &err);
    }
    for (unsigned i = 0; i < MAX_SNAPSHOTS; i++) {
        struct ov_snapshot_record record = {.id = name_of('s', i)};
        if (view->snapshots & bit(i))
            must(ov_state_add_snapshot(out, &record, &err), &err);
    }
}

static void build_list(unsigned objects, struct ov_object_list *out)
{
    struct ov_error err;
    for (unsigned i = 0; i < MAX_OBJECTS; i++) {
        struct ov_object object = {OV_OBJECT_DATA_PACK, name_of('p', i), 1};
        if (objects & bit(i))
            must(ov_object_list_add(out, &object, &err), &err);
    }
}

static void build_entry(const struct entry *entry, struct ov_log_entry *out)
{
    struct ov_error err;
    out->number = 1;
    build_list(entry->added, &out->added);
    build_list(entry->condemned, &out->condemned);
    build_list(entry->revived, &out->revived);
    build_list(entry->dropped, &out->dropped);
    for (unsigned i = 0; i < MAX_SNAPSHOTS; i++) {
        struct ov_snapshot_record record = {.id = name_of('s', i)};
        if (entry->snapshots_added & bit(i))
            must(ov_log_entry_add_snapshot(out, &record, &err), &err);
        if (entry->snapshots_removed & bit(i))
            must(ov_log_entry_remove_snapshot(out, &record.id, &err), &err);
    }
}

static struct view view_of(const struct ov_state *state)
{
    struct view view = {0};
    for (unsigned i = 0; i < MAX_OBJECTS; i++) {
        struct ov_id name = name_of('p', i), snapshot = name_of('s', i);
        enum ov_object_state now = ov_state_object(state, &name);
        view.live |= now == OV_OBJECT_LIVE ? bit(i) : 0;
        view.orphans |= now == OV_OBJECT_CONDEMNED_ORPHAN ? bit(i) : 0;
        view.condemned |= now == OV_OBJECT_CONDEMNED ? bit(i) : 0;
        view.dropped |= now == OV_OBJECT_DROPPED ? bit(i) : 0;
        view.snapshots |= ov_state_snapshot(state, &snapshot) ? bit(i) : 0;
    }
    view.condemned |= view.orphans;
    return view;
}

static void disagree(const struct view *view, const struct entry *entry, const char *what)
{
    fprintf(stderr,
            "log_model: model and repo/state.c disagree: %s\n"
            "  live %02x condemned %02x dropped %02x snapshots %02x\n"
            "  added %02x condemned %02x revived %02x dropped %02x snapshots +%02x -%02x\n",
            what, view->live, view->condemned, view->dropped, view->snapshots, entry->added,
            entry->condemned, entry->revived, entry->dropped, entry->snapshots_added,
            entry->snapshots_removed);
    exit(1);
}

static void compare(const struct view *view, const struct entry *entry)
{
    OV_AUTO(ov_state_release) struct ov_state state = {0};
    OV_AUTO(ov_log_entry_release) struct ov_log_entry real = {0};
    const struct ov_id hash = {{0}};
    struct ov_error err;
    build_state(view, &state);
    build_entry(entry, &real);
    enum ov_status status = ov_state_check(&state, &real, &err);
    bool is_valid = status == OV_OK;
    if (!is_valid && status != OV_ERR_CONFLICT)
        must(status, &err);
    if (is_valid != fits(ALL_RULES, view, entry))
        disagree(view, entry, is_valid ? "the code accepts" : err.message);
    if (!is_valid)
        return;
    struct view after = *view;
    apply_entry(&after, entry);
    must(ov_state_apply(&state, &real, &hash, &err), &err);
    struct view found = view_of(&state);
    if (found.live != after.live || found.condemned != after.condemned ||
        found.dropped != after.dropped || found.orphans != after.orphans ||
        found.snapshots != after.snapshots)
        disagree(view, entry, "states differ after the entry");
}

void compare_with_code(struct world *world, const struct view *view, const struct entry *entry)
{
    struct pair {
        struct view view;
        struct entry entry;
    };
    static struct pair remembered[REMEMBERED]; /* spares most repetitions */
    struct pair pair = {*view, *entry};
    pair.entry.transaction = 1; /* no pair is all zero */
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < sizeof(pair); i++)
        h = (h ^ ((const uint8_t *)&pair)[i]) * 16777619u;
    struct pair *slot = &remembered[(h ^ h >> 16) % REMEMBERED];
    if (memcmp(slot, &pair, sizeof(pair)) == 0)
        return;
    compare(view, entry);
    *slot = pair;
    world->comparisons++;
}

/* Three objects in every state, in every combination of lists; one snapshot likewise. */
size_t compare_all_with_code(void)
{
    size_t count = 0;
    for (unsigned states = 0; states < 5 * 5 * 5 * 2; states++) {
        struct view view = {.snapshots = (uint8_t)(states & 1)};
        for (unsigned i = 0, rest = states / 2; i < 3; i++, rest /= 5) {
            unsigned now = rest % 5;
            view.live |= now == 1 ? bit(i) : 0;
            view.condemned |= now == 2 || now == 4 ? bit(i) : 0;
            view.dropped |= now == 3 ? bit(i) : 0;
            view.orphans |= now == 4 ? bit(i) : 0;
        }
        for (unsigned lists = 0; lists < 4096 * 4; lists++, count++) {
            const struct entry entry = {
                .added = lists & 7,
                .condemned = lists >> 3 & 7,
                .revived = lists >> 6 & 7,
                .dropped = lists >> 9 & 7,
                .snapshots_added = lists >> 12 & 1,
                .snapshots_removed = lists >> 13 & 1,
            };
            compare(&view, &entry);
        }
    }
    return count;
}
