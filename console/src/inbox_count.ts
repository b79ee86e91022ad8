/** How many input requests wait for a person in the project of the session. */

import { signal } from "@preact/signals";

export const inboxCount = signal(0);
