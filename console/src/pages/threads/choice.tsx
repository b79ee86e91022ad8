/** The persona and the route of the next run, as the visitor has chosen them. */

import { signal } from "@preact/signals";
import type { ThreadRunOptions } from "runyard";

import { visible } from "../../format.ts";
import { useLoaded } from "../../polling.ts";
import { client } from "../../session.ts";

const persona = signal("");
const routeId = signal("");

/** Return the fields of the next run. */
export function chosen(): ThreadRunOptions {
  return {
    ...(persona.value && { persona_id: persona.value }),
    ...(routeId.value && { route_id: routeId.value }),
  };
}

export function Choice() {
  const [personas] = useLoaded("personas", signal => client.value.threads.personas({ signal }));
  const [routes] = useLoaded("routes", signal => client.value.threads.routes({ signal }));
  return (
    <>
      <label>
        <span class="hidden">Persona</span>
        <select value={persona.value} onChange={event => (persona.value = event.currentTarget.value)}>
          <option value="">Default persona</option>
          {personas.value.data?.map(({ persona_id }) => <option key={persona_id} value={persona_id}>{visible(persona_id)}</option>)}
        </select>
      </label>
      <label>
        <span class="hidden">Route</span>
        <select value={routeId.value} onChange={event => (routeId.value = event.currentTarget.value)}>
          <option value="">Its own route</option>
          {routes.value.data?.map(({ route_id, model }) => <option key={route_id} value={route_id}>{visible(`${route_id} · ${model}`)}</option>)}
        </select>
      </label>
    </>
  );
}
