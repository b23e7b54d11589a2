/* What the report does beside its pad: copy the commands, and take pictures that are pasted, dropped or opened. */

(() => {
  const copy = document.getElementById("copy");
  copy.hidden = false;
  copy.addEventListener("click", async () => {
    const lines = copy.previousElementSibling;
    getSelection().selectAllChildren(lines); // for a user who must copy by hand
    const done = await navigator.clipboard?.writeText(lines.textContent).then(() => true, () => false);
    copy.textContent = done ? "Copied" : "Press Ctrl+C";
  });

  const file = document.getElementById("file");
  if (!file) return;
  const take = (files) => { if (files.length) pad.open(files[0]); else pad.say("That holds no picture file."); };
  const dragged = (event, over) => { event.preventDefault(); document.body.classList.toggle("dragged", over); };
  file.addEventListener("change", () => { take([...file.files]); file.value = ""; });
  addEventListener("paste", (event) => take(event.clipboardData.files));
  addEventListener("dragover", (event) => dragged(event, true)); // else the browser would open the file instead of the page
  addEventListener("dragleave", (event) => dragged(event, event.relatedTarget));
  addEventListener("drop", (event) => { dragged(event, false); take(event.dataTransfer.files); });
})();
