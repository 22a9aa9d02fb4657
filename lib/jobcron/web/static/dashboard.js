// Times in the viewer's zone, and pages that stay up to date. Everything works without this file too.
"use strict";
(() => {
  const EVERY = 5000; // milliseconds between two looks, at least
  const SHARE = 20; // a page that takes long is looked at less often: it is made a twentieth of the time at most

  const two = (number) => String(number).padStart(2, "0");

  function local(when) {
    const day = [when.getFullYear(), two(when.getMonth() + 1), two(when.getDate())].join("-");
    return `${day} ${[when.getHours(), when.getMinutes(), when.getSeconds()].map(two).join(":")}`;
  }

  function showLocalTimes(part) {
    for (const time of part.querySelectorAll("time[datetime]:not(.relative)")) {
      const when = new Date(time.dateTime);
      if (!Number.isNaN(when.valueOf())) time.textContent = local(when);
    }
  }

  // What somebody is doing must not vanish under their hands.
  function isBusy(main) {
    const active = document.activeElement;
    return document.hidden
      || String(document.getSelection()).length > 0
      || main.querySelector("input:checked, details[open]") !== null
      || (active !== null && main.contains(active) && active !== main);
  }

  let isLive = sessionStorage.getItem("jobcron-live") !== "off";

  function look() {
    const main = document.getElementById("content");
    if (isLive && main && "live" in main.dataset && !isBusy(main)) htmx.trigger(main, "refresh");
  }

  let began = 0;
  let pause = EVERY;

  function lookAgain() {
    look();
    setTimeout(lookAgain, pause);
  }

  document.addEventListener("htmx:beforeRequest", () => { began = performance.now(); });
  document.addEventListener("htmx:afterRequest", () => {
    pause = Math.max(EVERY, SHARE * (performance.now() - began));
  });

  let fresh = new Date();
  let isStale = false;

  function tellState(button) {
    const since = `${two(fresh.getHours())}:${two(fresh.getMinutes())}`;
    button.setAttribute("aria-pressed", String(isLive && !isStale));
    button.textContent = !isLive ? "Paused" : isStale ? `Not up to date since ${since}` : "Live";
  }

  // What is shown must not be taken for what is: say since when it is old, and how to get in again.
  function note(isFresh, mustLogIn) {
    const button = document.querySelector("#live button");
    const again = document.querySelector("#live a");
    if (isFresh) fresh = new Date();
    isStale = !isFresh;
    if (button) tellState(button);
    if (again) again.hidden = !mustLogIn;
  }

  document.addEventListener("htmx:responseError", (event) => {
    note(false, event.detail.xhr.status === 401 || event.detail.xhr.status === 403);
  });
  document.addEventListener("htmx:sendError", () => note(false, false));
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (!event.detail.shouldSwap) return;
    const isPage = event.detail.xhr.responseText.includes('<main id="content"');
    const main = document.getElementById("content");
    if (isPage && (!isLive || isBusy(main))) { // somebody has begun something while it was asked for
      event.detail.shouldSwap = false;
      return;
    }
    if (!isPage) event.detail.shouldSwap = false; // a page to log in: it would empty this one
    note(isPage, !isPage);
  });

  // The second click of a double click must not send a form again: it would make a second job.
  const sent = new WeakSet();
  document.addEventListener("submit", (event) => {
    if (event.target.method !== "post") return;
    if (sent.has(event.target)) event.preventDefault();
    sent.add(event.target);
    setTimeout(() => sent.delete(event.target), EVERY); // whoever waits in vain may try again
  });

  document.addEventListener("DOMContentLoaded", () => {
    showLocalTimes(document);
    const here = document.querySelector("header nav [aria-current]");
    if (here) here.scrollIntoView({ block: "nearest", inline: "center" }); // on a phone the row of pages is longer than the screen
    const main = document.getElementById("content");
    const place = document.getElementById("live");
    if (!main || !("live" in main.dataset) || !place) return;
    const button = place.querySelector("button");
    place.hidden = false;
    tellState(button);
    button.addEventListener("click", () => {
      isLive = !isLive;
      sessionStorage.setItem("jobcron-live", isLive ? "on" : "off");
      tellState(button);
    });
    setTimeout(lookAgain, EVERY);
    document.addEventListener("visibilitychange", look);
  });
  document.addEventListener("htmx:load", (event) => showLocalTimes(event.target));
})();
