// Submits a job with one client, follows it and reads its rows; tells each step as a line of JSON.
const [client, url, input] = process.argv.slice(2);
const tell = (event) => console.log(JSON.stringify(event));

const { connect } = await import(`./${client}.mjs`);
const { submit, follow, read, close } = connect(url, process.env.FANFOLD_TOKEN);
const job = await submit(JSON.parse(input));
tell({ job });
await follow(job, (status) => tell({ status }));
tell({ rows: await read(job) });
await close();
