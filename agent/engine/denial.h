/* The log of refused requests: a sample of them, so many lines a second, and how many were passed
 * over. Internal to the engine, which does all of this only where its rules want such a log.
 */
#pragma once

#include "agent/engine/decision.h"

/* Bytes of a request's id that are shown. */
#define DENIAL_REQUEST_ID_MAX 128

/* An argument of the request. Its id, a text, stays where it is for as long as the frame does. */
void denial_note(struct engine_decision *decision, const struct spop_argument *argument);

/* The decision refuses, and is concluded by rules with this denial_log, which isn't 0. */
void denial_write(const struct engine_decision *decision, uint32_t per_second);
