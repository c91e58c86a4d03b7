#include <stdlib.h>

#include "rules/index.h"
#include "rules/operator.h"

/* How an index is made: what can be entered of every condition is counted first; then of each
 * trigger the condition is chosen of which the fewest triggers have the like, and entered. */

/* ---- counting ------------------------------------------------------------------------------ */

/* All conditions of a group that could be chosen, and those of groups in it. */
static void walk_all(struct rules__walk *walk, const struct rules__condition *conditions,
                     size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (rules__can_enter(&conditions[i]))
            rules__walk_keys(walk, &conditions[i]);
        else if (!conditions[i].holds && !conditions[i].negated)
            walk_all(walk, conditions[i].children, conditions[i].count);
    }
}

struct pair {
    uint64_t hash;
    uint32_t trigger;
};

/* Where keys are looked up: sorted, those of one lookup follow one another. */
struct place {
    int32_t message;
    uint32_t slot;
    uint32_t kind;
    uint32_t length;
};

/* How many triggers have a key. */
struct tally {
    uint64_t hash;
    uint32_t count;
};

struct builder {
    struct rules__walk walk; /* first */
    struct rules__table *table;
    const struct rules_rule *rules;
    struct arena *scratch;
    struct arena *arena;
    size_t total; /* keys of all conditions, RULES__INDEX_MAX at most: room for pairs */
    struct tally *tallies;
    size_t capacity; /* of them, a power of two */
    size_t tallied;  /* different keys */
    /* Of the condition that is weighed. */
    uint64_t weight;
    size_t keys;
    bool is_unknown; /* one of its keys wasn't tallied */
    /* What was chosen. */
    struct pair *pairs;
    size_t pair_count;
    struct rules__names place_names; /* their bytes, to nothing */
    struct place *places;
    size_t place_count;
    size_t place_room;
    bool out_of_memory;
};

static size_t capacity_for(size_t count)
{
    size_t capacity = 2;
    while (capacity < 2 * count)
        capacity *= 2;
    return capacity;
}

static void count_key(struct rules__walk *walk, uint32_t slot, const struct rules__key *key)
{
    (void)slot;
    (void)key;
    ((struct builder *)walk)->total++;
}

static struct tally *find_tally(const struct builder *b, uint64_t hash)
{
    size_t at = hash & (b->capacity - 1);
    while (b->tallies[at].count && b->tallies[at].hash != hash)
        at = (at + 1) & (b->capacity - 1);
    return &b->tallies[at];
}

static void tally_key(struct rules__walk *walk, uint32_t slot, const struct rules__key *key)
{
    struct builder *b = (struct builder *)walk;
    struct tally *tally = find_tally(b, key->hash);
    (void)slot;
    if (tally->count == 0 && b->tallied++ >= RULES__INDEX_MAX)
        return;
    tally->hash = key->hash;
    tally->count++;
}

static void weigh_key(struct rules__walk *walk, uint32_t slot, const struct rules__key *key)
{
    struct builder *b = (struct builder *)walk;
    uint32_t count = find_tally(b, key->hash)->count;
    (void)slot;
    b->weight += count;
    b->keys++;
    b->is_unknown = b->is_unknown || count == 0;
}

/* ---- choosing ------------------------------------------------------------------------------ */

/* How many triggers are found, at most, by what is entered of a condition: the fewer the better. */
struct weight {
    bool can_enter;
    uint64_t triggers;
    size_t keys;
};

static struct weight weigh_group(struct builder *b, const struct rules__condition *conditions,
                                 size_t count, bool is_any, const struct rules__condition **best);

static struct weight weigh(struct builder *b, const struct rules__condition *condition)
{
    if (!condition->holds && !condition->negated)
        return weigh_group(b, condition->children, condition->count, condition->is_any, NULL);
    if (!rules__can_enter(condition))
        return (struct weight){.can_enter = false};
    b->weight = 0;
    b->keys = 0;
    b->is_unknown = false;
    b->walk.found = weigh_key;
    rules__walk_keys(&b->walk, condition);
    return (struct weight){!b->is_unknown && b->keys <= RULES__INDEX_CONDITION_MAX, b->weight,
                           b->keys};
}

/* Of conditions that must all hold it is enough to enter the best; of those of which one must, each
 * has to be. */
static struct weight weigh_group(struct builder *b, const struct rules__condition *conditions,
                                 size_t count, bool is_any, const struct rules__condition **best)
{
    struct weight sum = {.can_enter = is_any};
    for (size_t i = 0; i < count; i++) {
        struct weight weight = weigh(b, &conditions[i]);
        if (is_any) {
            sum.keys += weight.keys;
            sum.triggers += weight.triggers;
            sum.can_enter =
                sum.can_enter && weight.can_enter && sum.keys <= RULES__INDEX_CONDITION_MAX;
        } else if (weight.can_enter && (!sum.can_enter || weight.triggers < sum.triggers)) {
            sum = weight;
            if (best)
                *best = &conditions[i];
        }
    }
    return sum;
}

/* ---- entering ------------------------------------------------------------------------------ */

static void add_place(struct builder *b, const struct place *place)
{
    struct slice name = slice_of(place, sizeof(*place));
    if (rules__names_find(&b->place_names, name) >= 0)
        return;
    if (b->place_count == b->place_room) {
        size_t room = b->place_room ? 2 * b->place_room : 64;
        struct place *places = arena_array(b->scratch, room, sizeof(*places));
        if (!places) {
            b->out_of_memory = true;
            return;
        }
        if (b->place_count)
            memcpy(places, b->places, b->place_count * sizeof(*places));
        b->places = places;
        b->place_room = room;
    }
    name = arena_copy(b->scratch, name);
    b->places[b->place_count++] = *place;
    b->out_of_memory =
        b->out_of_memory || !name.data || !rules__names_put(&b->place_names, b->scratch, name, 0);
}

static void enter_key(struct rules__walk *walk, uint32_t slot, const struct rules__key *key)
{
    struct builder *b = (struct builder *)walk;
    uint32_t trigger = (uint32_t)(walk->trigger - b->table->triggers);
    struct place place = {walk->trigger->message, slot, (uint32_t)key->kind, key->length};
    b->pairs[b->pair_count++] = (struct pair){key->hash, trigger};
    add_place(b, &place);
}

static void enter_all(struct builder *b, const struct rules__condition *conditions, size_t count,
                      bool is_any)
{
    const struct rules__condition *best = conditions;
    if (!is_any) {
        weigh_group(b, conditions, count, false, &best);
        count = 1;
    }
    for (size_t i = 0; i < count; i++) {
        if (!best[i].holds) {
            enter_all(b, best[i].children, best[i].count, best[i].is_any);
            continue;
        }
        b->walk.found = enter_key;
        rules__walk_keys(&b->walk, &best[i]);
    }
}

static struct rules__class *class_of(struct rules__table *table, int32_t message)
{
    return message < 0 ? &table->any : &table->of_message[message];
}

/* What it takes to try conditions, in comparisons of a value with a literal; UINT32_MAX: one can
 * take more than any look-up. */
static uint32_t effort_of(const struct rules__condition *conditions, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        const struct rules__condition *condition = &conditions[i];
        if (!condition->holds)
            sum += effort_of(condition->children, condition->count);
        else if (rules__operators[condition->operator_index].is_quick)
            sum += 1 + condition->count;
        else
            sum = UINT32_MAX;
    }
    return sum < UINT32_MAX ? (uint32_t)sum : UINT32_MAX;
}

/* Which classes are tried as a whole, as their triggers together take so little. */
static void find_quick(const struct rules__table *table, bool is_quick[RULES_MAX_MESSAGES + 1])
{
    uint64_t efforts[RULES_MAX_MESSAGES + 1] = {0};
    for (size_t i = 0; i < table->trigger_count; i++) {
        const struct rules__trigger *trigger = &table->triggers[i];
        efforts[trigger->message + 1] +=
            1 + (uint64_t)effort_of(trigger->conditions, trigger->condition_count);
    }
    for (size_t i = 0; i <= RULES_MAX_MESSAGES; i++)
        is_quick[i] = efforts[i] <= RULES__INDEX_TRIED;
}

/* Enters what can be, and notes the others of each class. */
static void enter_triggers(struct builder *b, uint32_t *always[RULES_MAX_MESSAGES + 1])
{
    struct rules__table *table = b->table;
    bool is_quick[RULES_MAX_MESSAGES + 1];
    find_quick(table, is_quick);
    for (size_t i = 0; i < table->trigger_count; i++) {
        const struct rules__trigger *trigger = &table->triggers[i];
        b->walk.trigger = trigger;
        struct weight weight =
            weigh_group(b, trigger->conditions, trigger->condition_count, false, NULL);
        if (!is_quick[trigger->message + 1] && weight.can_enter &&
            weight.keys <= b->total - b->pair_count) {
            enter_all(b, trigger->conditions, trigger->condition_count, false);
            continue;
        }
        struct rules__class *class = class_of(table, trigger->message);
        always[trigger->message + 1][class->always_count++] = (uint32_t)i;
    }
}

/* ---- the table ----------------------------------------------------------------------------- */

static int compare_places(const void *a, const void *b)
{
    const struct place *left = a;
    const struct place *right = b;
    if (left->message != right->message)
        return left->message < right->message ? -1 : 1;
    if (left->slot != right->slot)
        return left->slot < right->slot ? -1 : 1;
    if (left->kind != right->kind)
        return left->kind < right->kind ? -1 : 1;
    return (left->length > right->length) - (left->length < right->length);
}

/* The lookups of all classes, of the sorted places. */
static bool make_lookups(struct builder *b)
{
    struct rules__lookup *lookups = arena_array(b->arena, b->place_count, sizeof(*lookups));
    uint32_t *lengths = arena_array(b->arena, b->place_count, sizeof(*lengths));
    struct rules__lookup *lookup = lookups;
    if (!lookups || !lengths)
        return false;
    if (b->place_count == 0)
        return true;
    qsort(b->places, b->place_count, sizeof(*b->places), compare_places);
    for (size_t i = 0; i < b->place_count; i++) {
        const struct place *place = &b->places[i];
        const struct place *before = i ? place - 1 : NULL;
        bool is_same_class = before && before->message == place->message;
        struct rules__class *class = class_of(b->table, place->message);
        lengths[i] = place->length;
        if (is_same_class && before->slot == place->slot && before->kind == place->kind) {
            lookup[-1].length_count++;
            continue;
        }
        *lookup = (struct rules__lookup){
            .kind = (enum rules__lookup_kind)place->kind,
            .slot = place->slot,
            .seed = rules__lookup_seed(b->walk.seed, place->message, place->slot,
                                       (enum rules__lookup_kind)place->kind),
            .lengths = &lengths[i],
            .length_count = 1,
        };
        if (!is_same_class)
            class->lookups = lookup;
        class->lookup_count++;
        lookup++;
    }
    return true;
}

static int compare_pairs(const void *a, const void *b)
{
    const struct pair *left = a;
    const struct pair *right = b;
    if (left->hash != right->hash)
        return left->hash < right->hash ? -1 : 1;
    return (left->trigger > right->trigger) - (left->trigger < right->trigger);
}

static struct rules__entry *new_entry(struct rules__table *table, uint64_t hash)
{
    size_t at = hash & (table->capacity - 1);
    while (table->tags[at])
        at = (at + 1) & (table->capacity - 1);
    table->tags[at] = rules__tag(hash);
    return &table->entries[at];
}

static bool make_entries(struct builder *b)
{
    struct rules__table *table = b->table;
    uint32_t listed = 0;
    table->capacity = capacity_for(b->pair_count);
    table->entries = arena_array(b->arena, table->capacity, sizeof(*table->entries));
    table->tags = arena_array(b->arena, table->capacity, sizeof(*table->tags));
    table->lists = arena_array(b->arena, b->pair_count, sizeof(*table->lists));
    if (!table->entries || !table->tags || !table->lists)
        return false;
    qsort(b->pairs, b->pair_count, sizeof(*b->pairs), compare_pairs);
    for (size_t i = 0; i < b->pair_count;) {
        const struct pair *first = &b->pairs[i];
        struct rules__entry *entry = new_entry(table, first->hash);
        *entry = (struct rules__entry){.hash = first->hash, .at = listed};
        for (; i < b->pair_count && b->pairs[i].hash == first->hash; i++, entry->count++)
            table->lists[listed++] = b->pairs[i].trigger;
        if (entry->count > 1)
            continue;
        const struct rules__trigger *trigger = &table->triggers[first->trigger];
        entry->at = first->trigger;
        entry->rule = &b->rules[trigger->rule];
        entry->conditions = trigger->conditions;
    }
    return true;
}

/* ---- all of it ----------------------------------------------------------------------------- */

static bool make_triggers(struct rules__table *table, const struct rules_set *set,
                          struct arena *arena)
{
    size_t count = set->rule_count;
    for (size_t i = 0; i < set->rule_count; i++)
        count += set->rules[i].charge ? 1 : 0;
    table->triggers = arena_array(arena, count, sizeof(*table->triggers));
    for (size_t i = 0; table->triggers && i < set->rule_count; i++) {
        const struct rules_rule *rule = &set->rules[i];
        const struct rules__charge *charge = rule->charge;
        struct rules__trigger *trigger = &table->triggers[table->trigger_count++];
        *trigger = (struct rules__trigger){(uint32_t)i, rule->message, false, rule->conditions,
                                           rule->condition_count};
        if (!charge)
            continue;
        table->trigger_count++;
        trigger[1] = (struct rules__trigger){(uint32_t)i, charge->message, true, charge->conditions,
                                             charge->condition_count};
    }
    return table->triggers != NULL;
}

/* Room for the triggers of each class that are always tried, which may be all of them. */
static bool make_room(struct builder *b, uint32_t *always[RULES_MAX_MESSAGES + 1])
{
    struct rules__table *table = b->table;
    size_t counts[RULES_MAX_MESSAGES + 1] = {0};
    uint32_t *room = arena_array(b->arena, table->trigger_count, sizeof(*room));
    if (!room)
        return false;
    for (size_t i = 0; i < table->trigger_count; i++)
        counts[table->triggers[i].message + 1]++;
    for (int32_t message = -1; message < RULES_MAX_MESSAGES; message++) {
        always[message + 1] = room;
        class_of(table, message)->always = room;
        room += counts[message + 1];
    }
    return true;
}

static void walk_triggers(struct builder *b, void (*found)(struct rules__walk *walk, uint32_t slot,
                                                           const struct rules__key *key))
{
    b->walk.found = found;
    for (size_t i = 0; i < b->table->trigger_count; i++) {
        b->walk.trigger = &b->table->triggers[i];
        walk_all(&b->walk, b->walk.trigger->conditions, b->walk.trigger->condition_count);
    }
}

static bool build(struct builder *b)
{
    uint32_t *always[RULES_MAX_MESSAGES + 1];
    walk_triggers(b, count_key);
    if (b->total > RULES__INDEX_MAX)
        b->total = RULES__INDEX_MAX;
    b->capacity = capacity_for(b->total);
    b->tallies = arena_array(b->scratch, b->capacity, sizeof(*b->tallies));
    b->pairs = arena_array(b->scratch, b->total, sizeof(*b->pairs));
    if (!b->tallies || !b->pairs || !make_room(b, always))
        return false;
    walk_triggers(b, tally_key);
    enter_triggers(b, always);
    return !b->out_of_memory && make_lookups(b) && make_entries(b);
}

bool rules__index_build(struct rules_set *set, struct arena *scratch)
{
    struct builder b = {
        .walk = {.seed = set->seed},
        .table = arena_allocate(&set->arena, sizeof(*b.table)),
        .rules = set->rules,
        .scratch = scratch,
        .arena = &set->arena,
        .place_names = {.seed = set->seed},
    };
    set->index->table = b.table;
    return b.table && make_triggers(b.table, set, &set->arena) && build(&b);
}
