// Fetches the page again each second and puts what changed in place of what was there.
// Without it the page reloads itself.
'use strict';

const refresh = async () => {
  if (document.hidden) return;
  const live = document.getElementById('live');
  try {
    const answer = await fetch('/', { headers: { Accept: 'text/html' }, signal: AbortSignal.timeout(5000) });
    if (!answer.ok) throw new Error(answer.status);
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
    const next = page.getElementById('live');
    for (const old of live.querySelectorAll('details[open]')) {
      for (const now of next.querySelectorAll('details')) {
        if (now.dataset.key === old.dataset.key) now.open = true;
      }
    }
    if (window.getSelection().isCollapsed && !live.contains(document.activeElement)) live.replaceWith(document.importNode(next, true));
    document.title = page.title;
  } catch {
    live.classList.add('lost');
    document.title = 'Registry: no answer';
  }
};

const again = async () => {
  await refresh();
  setTimeout(again, 1000);
};
setTimeout(again, 1000);
