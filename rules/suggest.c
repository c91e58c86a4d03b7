#include "rules/loader.h"

/* Longer texts are no misspelling of a word of ours. */
#define WORD_MAX 40

/* Case is no difference, since nobody means another word by it. */
static bool same(uint8_t a, uint8_t b)
{
    uint8_t lower_a = a >= 'A' && a <= 'Z' ? (uint8_t)(a + 32) : a;
    uint8_t lower_b = b >= 'A' && b <= 'Z' ? (uint8_t)(b + 32) : b;
    return lower_a == lower_b;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Optimal string alignment: the Damerau-Levenshtein distance in which no part is edited twice. */
static size_t distance(struct slice a, struct slice b)
{
    size_t rows[3][WORD_MAX + 1]; /* of a's prefixes i-2, i-1 and i, by modulo */
    for (size_t j = 0; j <= b.size; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a.size; i++) {
        const size_t *above = rows[(i - 1) % 3];
        size_t *row = rows[i % 3];
        row[0] = i;
        for (size_t j = 1; j <= b.size; j++) {
            bool equal = same(a.data[i - 1], b.data[j - 1]);
            row[j] = least(above[j - 1] + (equal ? 0 : 1), least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && same(a.data[i - 1], b.data[j - 2]) &&
                same(a.data[i - 2], b.data[j - 1]))
                row[j] = least(row[j], rows[(i - 2) % 3][j - 2] + 1);
        }
    }
    return rows[a.size % 3][b.size];
}

int rules__nearest(struct slice text, const char *const *words, size_t count)
{
    int nearest = -1;
    size_t shortest = SIZE_MAX;
    if (text.size > WORD_MAX)
        return -1;
    for (size_t i = 0; i < count; i++) {
        struct slice word = slice_of_string(words[i]);
        if (word.size > WORD_MAX)
            continue;
        size_t edits = distance(text, word);
        /* One edit in every three letters: "ky" is near "key", "of" is not near "is". */
        size_t longer = word.size > text.size ? word.size : text.size;
        if (edits <= longer / 3 && edits < shortest) {
            shortest = edits;
            nearest = (int)i;
        }
    }
    return nearest;
}
