// Shared by Node and the browser: read a run through every call that the API endpoint redirects.
export async function walk(ry, run) {
  const sequences = [];
  for await (const event of ry.runs.follow(run, { after: 2 })) sequences.push(event.sequence);
  const withoutDeltas = [];
  for await (const event of ry.runs.follow(run, { deltas: false })) withoutDeltas.push(event.type);
  const kinds = [];
  for await (const record of ry.runs.export(run)) kinds.push(record.kind);
  const missing = await ry.runs.follow(crypto.randomUUID()).next().catch(error => error.name);
  return { sequences, withoutDeltas, kinds, missing };
}
