// pg-boss: one process that takes and completes so many jobs at a time as the setting says.
const PgBoss = require("pg-boss");
const { perform } = require("./command.js");

const started = async (url) => {
  const boss = new PgBoss({ connectionString: url, supervise: false, schedule: false });
  boss.on("error", (error) => console.error(error));
  await boss.start();
  return boss;
};

const create = async (url, jobs) => {
  const boss = await started(url);
  for (let first = 0; first < jobs; first += 1000) {
    const count = Math.min(1000, jobs - first);
    await boss.insert(Array.from({ length: count }, (_, place) => ({ name: "no_op", data: { number: first + place } })));
  }
  await boss.stop({ graceful: false });
  return jobs;
};

const prepare = async (url, jobs) => {
  const boss = await started(url);
  await boss.createQueue("no_op");
  await boss.stop({ graceful: false });
  await create(url, jobs);
};

const drain = async (url, jobs, setting) => {
  const boss = await started(url);
  let done = 0;
  for (;;) {
    const taken = await boss.fetch("no_op", { batchSize: setting });
    if (!taken || !taken.length) break;
    done += taken.length;
    await boss.complete("no_op", taken.map((job) => job.id));
  }
  await boss.stop({ graceful: false });
  return done;
};

perform({ prepare, drain, create }).catch((error) => {
  console.error(error);
  process.exit(1);
});
