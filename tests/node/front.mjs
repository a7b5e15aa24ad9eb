// Calls the front with OpenAI's own client: front.mjs URL URL_OF_A_FRONT_THAT_DOES_NOT_WAIT SCRIPTS, the last as JSON.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';

import OpenAI from 'openai';

const [url, impatient, scripts] = [process.argv[2], process.argv[3], JSON.parse(process.argv[4])];
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "nobody's" });
const asked = { model: 'scripted', prompt: 'Xin chào', user: '7' };

const refused = async (kind, call) => {
    try {
        await call();
    } catch (error) {
        assert(error instanceof kind, error);
        return error;
    }
    assert.fail(`no ${kind.name}`);
};

// Models.
const models = (await client.models.list()).data.map((model) => model.id);
assert(['scripted', 'scripted/plain', 'clip', 'sound'].every((id) => models.includes(id)), String(models));
assert.equal((await client.models.retrieve('scripted/plain')).id, 'scripted/plain');
let error = await refused(OpenAI.NotFoundError, () => client.models.retrieve('nothing'));
assert.equal(error.code, 'FEATURE_NOT_FOUND');
assert(error.requestID);

// Pictures, as one answer and as they come: the gate opens when the first preview is there.
const made = await client.images.generate({ ...asked, n: 2 });
assert.deepEqual(made.data.map((picture) => Buffer.from(picture.b64_json, 'base64').toString('latin1', 1, 4)), ['PNG', 'PNG']);
const seen = [];
for await (const event of await client.images.generate({ ...asked, ...scripts.gated, stream: true, partial_images: 2 })) {
    seen.push(event.type);
    writeFileSync(scripts.gated.scripted.wait_for, '');
}
assert.deepEqual(seen, ['image_generation.partial_image', 'image_generation.completed']);

// From a picture.
const image = await OpenAI.toFile(Buffer.from(made.data[0].b64_json, 'base64'), 'source.png', { type: 'image/png' });
const edited = await client.images.edit({ ...asked, image });
assert.equal(Buffer.from(edited.data[0].b64_json, 'base64').toString('latin1', 1, 4), 'PNG');
const masked = await client.images.edit({ ...asked, model: 'painted', image, mask: image });
assert.equal(Buffer.from(masked.data[0].b64_json, 'base64').toString('latin1', 1, 4), 'PNG');

// Once with the same key.
const keyed = { headers: { 'Idempotency-Key': 'a key of Node' } };
const [first, second] = [await client.images.generate(asked, keyed), await client.images.generate(asked, keyed)];
assert.deepEqual(first.data, second.data);

// What is wrong.
error = await refused(OpenAI.BadRequestError, () => client.images.generate({ ...asked, size: 'big' }));
assert.deepEqual([error.code, error.param, error.type], ['VALIDATION_FAILED', 'size', 'invalid_request_error']);
error = await refused(OpenAI.BadRequestError, () => client.images.generate({ ...asked, ...scripts.reject }));
assert.equal(error.code, 'PROVIDER_REJECTED_CONTENT');
error = await refused(OpenAI.InternalServerError, () => client.images.generate({ ...asked, ...scripts.fail }));
assert.deepEqual([error.code, error.headers.get('x-should-retry')], ['PROVIDER_FAILED', 'false']);
error = await refused(OpenAI.APIError, async () => {
    for await (const event of await client.images.generate({ ...asked, ...scripts.fail, stream: true })) seen.push(event);
});
assert.equal(error.code, 'PROVIDER_FAILED');

// What takes longer than the front waits is asked for once, and goes on.
const hurried = client.withOptions({ baseURL: `${impatient}/v1` });
error = await refused(OpenAI.InternalServerError, () => hurried.images.generate({ ...asked, ...scripts.hang }));
assert.deepEqual([error.status, error.code], [504, 'REQUEST_UNFINISHED']);
assert.equal(error.error.request_id, error.headers.get('x-atelier-request-id'));

// Speech.
const sound = await client.audio.speech.create({ model: 'sound', voice: 'alloy', input: 'Xin chào', user: '7' });
assert.equal(Buffer.from(await sound.arrayBuffer()).toString('latin1', 0, 4), 'RIFF');
const spoken = { model: 'sound', voice: 'alloy', input: 'Xin chào', user: '7', response_format: 'wav', stream_format: 'sse' };
const stream = await (await client.audio.speech.create(spoken)).text();
const events = stream.split('\n').filter((line) => line.startsWith('data: ')).map((line) => JSON.parse(line.slice(6)));
assert.equal(Buffer.from(events[0].audio, 'base64').toString('latin1', 0, 4), 'RIFF');
assert.equal(events.at(-1).type, 'speech.audio.done');

// Videos.
let video = await client.videos.create({ model: 'clip', prompt: 'Xin chào', seconds: '1', size: '128x128', user: '7' });
while (!['completed', 'failed'].includes(video.status)) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    video = await client.videos.retrieve(video.id);
}
assert.deepEqual([video.status, video.progress, video.model], ['completed', 100, 'clip']);
const content = await client.videos.downloadContent(video.id);
assert.equal(Buffer.from(await content.arrayBuffer()).toString('latin1', 4, 8), 'ftyp');
const listed = [];
for await (const { id } of client.videos.list({ limit: 1 })) listed.push(id);
assert.deepEqual(listed, [video.id]);
assert((await client.videos.delete(video.id)).deleted);
error = await refused(OpenAI.NotFoundError, () => client.videos.retrieve(video.id));
assert.equal(error.code, 'REQUEST_NOT_FOUND');
