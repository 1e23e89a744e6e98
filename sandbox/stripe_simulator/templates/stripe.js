// The simulator's stand-in for Stripe's browser script: the part of it that a shop's page with card fields needs.
// Its names and results are those of https://docs.stripe.com/js/custom_checkout; the README lists them.
(function () {
  "use strict";

  var ORIGIN = new URL(document.currentScript.src).origin;
  var EMAIL = /^[^@\s]+@[^@\s]+\.[^@\s]+$/;

  function failure(message, code) {
    return { type: "error", error: { message: message, code: code || null } };
  }

  function emitter() {
    var handlers = {};
    return {
      on: function (name, handler) { (handlers[name] = handlers[name] || []).push(handler); },
      emit: function (name, value) { (handlers[name] || []).forEach(function (handler) { handler(value); }); }
    };
  }

  // The session as the page sees it. Stripe insists that the page shows the total, and so do we: `read` tells.
  function sessionView(session, read) {
    var total = session.total.total;
    var watched = {};
    ["amount", "minorUnitsAmount"].forEach(function (name) {
      Object.defineProperty(watched, name, { enumerable: true, get: function () { read(); return total[name]; } });
    });
    return Object.assign({}, session, { total: Object.assign({}, session.total, { total: watched }) });
  }

  // The frame with the card fields, and the questions that it is asked.
  function cardFrame(url, events) {
    var frame = document.createElement("iframe");
    var waiting = {};
    var next = 0;
    frame.src = url;
    frame.title = "Secure card payment input frame";
    frame.style.cssText = "border:0;width:100%;height:16rem;display:block";

    function hear(event) {
      if (event.source !== frame.contentWindow || event.origin !== ORIGIN) { return; }
      var message = event.data;
      if (message.type === "answer" && waiting[message.id]) {
        waiting[message.id](message.value);
        delete waiting[message.id];
      } else if (message.type === "ready") {
        frame.style.height = message.height + "px";
        events.emit("ready", {});
      } else if (message.type === "change") {
        events.emit("change", { complete: message.complete, empty: message.empty, value: { type: "card" } });
      }
    }

    window.addEventListener("message", hear);
    return {
      node: frame,
      ask: function (question) {
        return new Promise(function (resolve) {
          next += 1;
          waiting[next] = resolve;
          frame.contentWindow.postMessage(Object.assign({ id: next }, question), ORIGIN);
        });
      },
      remove: function () {
        window.removeEventListener("message", hear);
        frame.remove();
      }
    };
  }

  // The bank's page over the shop's, until the customer has answered.
  function authenticate(url) {
    return new Promise(function (resolve) {
      var frame = document.createElement("iframe");
      frame.src = url;
      frame.title = "Authentication by your bank";
      frame.style.cssText = "border:0;position:fixed;inset:0;width:100%;height:100%;z-index:2147483647;background:#fff";
      window.addEventListener("message", function hear(event) {
        if (event.source !== frame.contentWindow || event.origin !== ORIGIN) { return; }
        if (event.data.type !== "authenticated") { return; }
        window.removeEventListener("message", hear);
        frame.remove();
        resolve();
      });
      document.body.appendChild(frame);
    });
  }

  function initCheckoutElementsSdk(key, options) {
    var events = emitter();
    var state = { email: null, card: null, amountRead: false, confirming: null };

    var loaded = Promise.resolve(options.clientSecret).then(function (secret) {
      var id = String(secret).split("_secret_")[0];
      var base = ORIGIN + "/elements/sessions/" + encodeURIComponent(id);
      var query = "?client_secret=" + encodeURIComponent(secret) + "&key=" + encodeURIComponent(key);
      return fetch(base + query).then(function (response) {
        return response.json().then(function (answer) {
          if (!response.ok) { throw new Error(answer.error.message); }
          return { card: base + "/card" + query, session: answer.session, returnUrl: answer.return_url };
        });
      });
    });
    loaded.catch(function () { /* told by loadActions */ });

    function view(session) {
      return sessionView(session, function () { state.amountRead = true; });
    }

    function createPaymentElement() {
      var own = emitter();
      if (state.card) { throw new Error("A page can have only one Payment Element."); }
      state.card = {};
      var element = {
        on: function (name, handler) { own.on(name, handler); return element; },
        mount: function (where) {
          var place = typeof where === "string" ? document.querySelector(where) : where;
          if (!place) { throw new Error("The place to mount to does not exist: " + where); }
          loaded.then(function (known) {
            state.card = cardFrame(known.card, own);
            place.replaceChildren(state.card.node);
          }, function (error) { own.emit("loaderror", { error: { message: error.message } }); });
        },
        unmount: function () { if (state.card && state.card.remove) { state.card.remove(); state.card = {}; } },
        destroy: function () { element.unmount(); state.card = null; }
      };
      return element;
    }

    function step(known, email) {
      return state.card.ask({ type: "confirm", email: email || "" }).then(function (answer) {
        if (answer.type !== "requires_action") { return answer; }
        return authenticate(ORIGIN + answer.path).then(function () { return state.card.ask({ type: "status" }); });
      });
    }

    function confirm(known, wishes) {
      var email = wishes.email || state.email || known.session.email;
      if (!state.amountRead) {
        throw new Error("Show the customer session.total.total.amount before you call confirm().");
      }
      if (!state.card || !state.card.ask) { return Promise.resolve(failure("Mount the Payment Element first.")); }
      if (!email) { return Promise.resolve(failure("Your email address is missing.", "incompleteEmail")); }
      return step(known, email).then(function (answer) {
        if (answer.type !== "success") { return answer; }
        known.session = answer.session;
        events.emit("change", view(answer.session));
        if (wishes.redirect !== "if_required") {
          window.location.assign(wishes.returnUrl || known.returnUrl);
          return new Promise(function () { /* the page is about to go */ });
        }
        return { type: "success", session: view(answer.session) };
      });
    }

    function actionsOf(known) {
      return {
        getSession: function () { return view(known.session); },
        updateEmail: function (email) {
          if (!EMAIL.test(email)) {
            return Promise.resolve(failure("Your email address is invalid.", "invalidEmail"));
          }
          state.email = email;
          return Promise.resolve({ type: "success", session: view(known.session) });
        },
        // A second click while the first is on its way is the first.
        confirm: function (wishes) {
          if (!state.confirming) {
            state.confirming = confirm(known, wishes || {}).finally(function () { state.confirming = null; });
          }
          return state.confirming;
        }
      };
    }

    return {
      on: events.on,
      createPaymentElement: createPaymentElement,
      loadActions: function () {
        return loaded.then(
          function (known) { return { type: "success", actions: actionsOf(known) }; },
          function (error) { return failure(error.message); }
        );
      }
    };
  }

  window.Stripe = function (key) {
    if (String(key).indexOf("pk_") !== 0) {
      throw new Error("Use a publishable key (pk_...) with Stripe.js; a secret key belongs on your server.");
    }
    return {
      initCheckoutElementsSdk: function (options) { return initCheckoutElementsSdk(key, options); }
    };
  };
})();
