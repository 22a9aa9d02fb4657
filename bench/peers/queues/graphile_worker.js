// Graphile Worker: one process; the setting is how many jobs run at a time, negative where they are taken and
// completed in batches of so many.
const { Logger, makeWorkerUtils, run, runOnce } = require("graphile-worker");
const { perform } = require("./command.js");

const logger = new Logger(() => () => {});

const create = async (url, jobs) => {
  const utils = await makeWorkerUtils({ connectionString: url, logger });
  for (let first = 0; first < jobs; first += 1000) {
    const count = Math.min(1000, jobs - first);
    await utils.addJobs(Array.from({ length: count }, (_, place) => ({ identifier: "no_op", payload: { number: first + place } })));
  }
  await utils.release();
  return jobs;
};

const prepare = async (url, jobs) => {
  const utils = await makeWorkerUtils({ connectionString: url, logger });
  await utils.migrate();
  await utils.release();
  await create(url, jobs);
};

const workerOf = (url, setting) => {
  const concurrentJobs = setting < 0 ? 10 : setting;
  const worker = { concurrentJobs, connectionString: url, maxPoolSize: concurrentJobs + 2, pollInterval: 1000, logger };
  if (setting < 0) {
    Object.assign(worker, { localQueue: { size: -setting }, completeJobBatchDelay: 0, failJobBatchDelay: 0 });
  }
  return worker;
};

const drain = async (url, jobs, setting) => {
  const worker = workerOf(url, setting);
  let done = 0;
  let ended;
  const end = new Promise((resolve) => (ended = resolve));
  const no_op = async () => {
    done += 1;
    if (done === jobs) ended();
  };
  const runner = await run({ preset: { worker }, taskList: { no_op }, noHandleSignals: true });
  await end;
  await runner.stop(); // what has run is completed before it ends
  return done;
};

// Beside another process: until nothing is left.
const share = async (url, jobs, setting) => {
  const worker = workerOf(url, setting);
  let done = 0;
  const no_op = async () => {
    done += 1;
  };
  await runOnce({ preset: { worker }, taskList: { no_op }, noHandleSignals: true });
  return done;
};

perform({ prepare, drain, share, create }).catch((error) => {
  console.error(error);
  process.exit(1);
});
